"""Data given a label: the conditional VAE by hand, and what a model makes of each label."""

import math

import pytest
import torch
from labelled_pairs import CLASSES, cvae, m1_m2, m2
from torch.testing import assert_close

import ppvae
from ppvae import ELBO, log_terms, sample
from ppvae.by_class import by_class
from ppvae.guides import CVAEGuide
from ppvae.models import CVAE
from ppvae.networks import MLP
from ppvae.plot import accuracies
from ppvae.plot import by_class as drawn_by_class

EXACT = {"rtol": 0, "atol": 1e-10}
P, B = 4, 7


@pytest.fixture
def batch():
    return {"x": torch.rand(B, P).round(), "y": torch.arange(B) % CLASSES}


@pytest.mark.parametrize("num_particles", [1, 3])
def test_the_terms_are_those_given_the_label_by_hand(batch, num_particles):
    model, guide = cvae(P)
    terms = log_terms(model, guide, batch, num_particles=num_particles)
    z, y = terms.values["z"], torch.eye(CLASSES)[batch["y"]]
    probs = model.decoder(z, y).sigmoid()
    x = batch["x"]
    likelihood = (x * probs.log() + (1 - x) * (1 - probs).log()).sum(-1)
    prior = -0.5 * z.square().sum(-1) - math.log(2 * math.pi)
    loc, log_scale = guide.encoder(x, y).chunk(2, -1)
    posterior = torch.distributions.Normal(loc, log_scale.exp()).log_prob(z).sum(-1)
    assert_close(terms.log_likelihood, likelihood, **EXACT)
    assert_close(terms.log_prior, prior, **EXACT)
    assert_close(terms.log_posterior, posterior, **EXACT)
    assert_close(
        ELBO(num_particles).bound(terms), (likelihood + prior - posterior).mean(0), **EXACT
    )


def test_the_label_is_no_site_and_is_read_by_both_networks(batch):
    model, guide = cvae(P)
    other = batch | {"y": (batch["y"] + 1) % CLASSES}
    terms, others = (log_terms(model, guide, each) for each in (batch, other))
    assert set(terms.prior) == {"z"} and set(terms.likelihood) == {"x"}
    assert (model.decoder(torch.zeros(1, 2), torch.eye(3)).std(0) > 0).all()
    assert not torch.equal(terms.log_weight, others.log_weight)


def test_data_are_drawn_by_label(batch):
    model, guide = cvae(P)
    with torch.no_grad():
        # Each label has bits of its own, whatever the code.
        first = model.decoder.layers[0]
        first.weight.zero_()
        first.weight[:3, 2:] = 5 * torch.eye(3)
        model.decoder.layers[2].weight.copy_(20 * torch.eye(P, 6) - 10)
    for label in range(CLASSES):
        like = {"x": torch.zeros(1, P), "y": torch.tensor([label])}
        found = sample((model, guide), 50, like=like)["x_mean"].values
        assert (found.argmax(1) == label).all()


@pytest.mark.parametrize(
    ("make", "code"), [(cvae, "z"), (m2, "z"), (m1_m2, "z2")], ids=["cvae", "m2", "m1-m2"]
)
def test_codes_are_held_along_the_labels_and_labels_along_the_codes(make, code):
    model, guide = make(P)
    like = {"x": torch.zeros(2, P), "y": torch.zeros(2, dtype=torch.int64)}
    grid = by_class((model, guide), CLASSES, 5, like=like, code=code, seed=3)["x_mean"]
    assert grid.dims == ("code", "label", "pixel") and grid.shape == (5, CLASSES, P)
    if code == "z":
        # Undone: the logits of each place are those of one code and one label.
        logits = torch.from_numpy(grid.values).logit()
        z = fitted_codes(model, logits)
        assert_close(z[:, :1].expand_as(z), z, rtol=0, atol=1e-6)


def fitted_codes(model, logits):
    """The code of each place, (codes, labels, D), found by least squares from its own logits."""
    labels = torch.eye(CLASSES).expand(len(logits), CLASSES, CLASSES)
    z = torch.zeros(*logits.shape[:2], 2, requires_grad=True)
    optim = torch.optim.LBFGS(
        [z],
        max_iter=500,
        tolerance_grad=1e-14,
        tolerance_change=1e-16,
        line_search_fn="strong_wolfe",
    )

    def closure():
        optim.zero_grad()
        loss = (model.decoder(z, labels) - logits).square().sum()
        loss.backward()
        return loss

    optim.step(closure)
    return z.detach()


def test_the_grid_is_that_of_the_seed():
    pair = m2(P)
    like = torch.zeros(1, P)
    first, again, other = (
        by_class(pair, CLASSES, 4, like=like, seed=s)["x_mean"].values for s in (1, 1, 2)
    )
    assert (first == again).all() and (first != other).any()


def test_the_two_grids_are_one_read_in_both_directions():
    grid = by_class(m2(P), CLASSES, 5, like=torch.zeros(1, P))
    figure = drawn_by_class(grid, (1, 2, 2))
    left, right = (axes.images[0].get_array() for axes in figure.axes[:2])
    means = grid["x_mean"].values
    for code in range(5):
        for label in range(CLASSES):
            tile = means[code, label].reshape(2, 2)
            assert_close(left[3 * label : 3 * label + 2, 3 * code : 3 * code + 2], tile)
            assert_close(right[3 * code : 3 * code + 2, 3 * label : 3 * label + 2], tile)


def test_accuracies_are_drawn_with_a_point_for_each_draw_of_labels():
    found = {"labels alone": {10: [0.5, 0.6], 100: [0.8]}, "all rows": {10: [0.7, 0.8], 100: [0.9]}}
    figure = accuracies(found, baseline="labels alone")
    (axes,) = figure.axes
    curve, *points = axes.lines
    assert curve.get_xdata().tolist() == [10, 100]
    assert_close(list(curve.get_ydata()), [0.55, 0.8])
    assert [len(each.get_ydata()) for each in points[:2]] == [2, 1]
    with pytest.raises(ValueError, match="found must hold at least one way to train; got none"):
        accuracies({})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: CVAE(MLP(1, [], 1), None, None, 0), "classes must be at least 1; got 0"),
        (lambda: CVAEGuide(MLP(1, [], 2), 0), "num_labels must be at least 1; got 0"),
        (lambda: by_class(m2(P), 0, like=BATCH), "classes must be at least 1; got 0"),
        (lambda: by_class(m2(P), 3, 0, like=BATCH), "num_codes must be at least 1; got 0"),
        (lambda: by_class(m2(P), 3, like=BATCH, code="u"), r"code must be a site .* got 'u'"),
        (lambda: by_class(m2(P), 3, like=BATCH, label="u"), "given must name sites"),
        (lambda: by_class(m2(P), 3), "like must be a batch where no run with data is given"),
    ],
)
def test_bad_settings_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


BATCH = torch.zeros(2, P, dtype=torch.float64)


@pytest.mark.parametrize("role", [0, 1], ids=["model", "guide"])
@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        ([0, 1, 3], ValueError, "y must be a label from 0 to 2, in every row; got 3"),
        ([0, 1, -1], ValueError, "y must be a label from 0 to 2, in every row; got -1"),
        ([0, 1], ValueError, r"y must hold one label a row, \(3,\); got shape \(2,\)"),
        ([0.0, 1.0, 2.0], TypeError, "y must hold whole numbers; got torch.float64"),
    ],
)
def test_labels_that_are_none_are_refused(role, y, error, message):
    with pytest.raises(error, match=message):
        cvae(P)[role](torch.zeros(3, P), torch.tensor(y))


def test_public_names_are_there():
    assert ppvae.by_class is by_class
