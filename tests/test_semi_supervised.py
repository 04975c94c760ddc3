"""J of semi-supervised learning: what is followed, what is reported, and who learns from what."""

from functools import partial

import pyro
import pytest
import torch
from captured import assert_equal_trainings
from labelled_pairs import m2, partly
from pairs import PAIRS, fields_for, rows_for
from programs import binary_rows, binary_vae
from torch.testing import assert_close

from ppvae import ELBO, IWAE, SVI, Pair, ScoreFunction, SemiSupervised, log_terms
from ppvae.estimators import MovingAverage
from ppvae.named import estimator_named
from ppvae.testing import check_estimator

exactly = partial(assert_close, rtol=0, atol=1e-10)
INNER = {
    "elbo": ELBO(),
    "elbo of many": ELBO(3),
    "expected": IWAE(3, expected=True),
    "marginal": IWAE(3),
}


def gradients(target, pair):
    leaves = [leaf for part in pair for leaf in part.parameters()]
    found = torch.autograd.grad(target, leaves, allow_unused=True, retain_graph=True)
    return [torch.zeros_like(a) if g is None else g for a, g in zip(leaves, found, strict=True)]


@pytest.fixture
def batch():
    x = torch.rand(8, 5).round()
    return {"x": x, "y": partly(x)}


@pytest.mark.parametrize("of", INNER.values(), ids=INNER)
def test_the_three_terms_are_weighed_and_added(batch, of):
    pair, y = m2(5), batch["y"]
    terms = log_terms(*pair, batch, num_particles=of.num_particles)
    bound, log_q = of.bound(terms), pair[1].classifier(batch["x"]).log_softmax(-1)
    expected = bound[y >= 0].sum() + 0.3 * bound[y < 0].sum()
    expected = expected + 7.0 * log_q[torch.arange(8), y.clamp(min=0)][y >= 0].sum()
    estimator = SemiSupervised(7.0, 0.3, of=of)
    found = estimator.surrogate(terms).sum()
    exactly(found, expected)
    for ours, theirs in zip(gradients(found, pair), gradients(expected, pair), strict=True):
        exactly(ours, theirs)
    exactly(estimator.bound(terms), bound)


def test_the_loss_is_minus_the_bound_and_its_gradient_is_that_of_j(batch):
    pair, estimator = m2(5), SemiSupervised(7.0, 0.3)
    log_terms(*pair, batch)
    pyro.set_rng_seed(1)
    loss = estimator.differentiable_loss(*pair, **batch)
    pyro.set_rng_seed(1)
    terms = log_terms(*pair, batch)
    exactly(loss, -ELBO().bound(terms).sum())
    for ours, theirs in zip(
        gradients(loss, pair), gradients(estimator.surrogate(terms).sum(), pair), strict=True
    ):
        exactly(ours, -theirs)


def test_with_beta_zero_labels_alone_teach_the_classifier(batch):
    model, guide = m2(5)
    classifier = list(guide.classifier.parameters())
    loss = SemiSupervised(1.0, 0.0).differentiable_loss(model, guide, **batch)
    y, log_q = batch["y"], guide.classifier(batch["x"]).log_softmax(-1)
    cross_entropy = -log_q[torch.arange(8), y.clamp(min=0)][y >= 0].sum()
    for ours, theirs in zip(
        torch.autograd.grad(loss, classifier),
        torch.autograd.grad(cross_entropy, classifier),
        strict=True,
    ):
        exactly(ours, theirs)


def test_each_term_is_reported_in_nats_per_datum(batch):
    pair, estimator, y = m2(5), SemiSupervised(7.0), batch["y"]
    assert all(value.isnan() for value in estimator.figures().values())
    log_terms(*pair, batch)
    pyro.set_rng_seed(1)
    estimator.differentiable_loss(*pair, **batch)
    pyro.set_rng_seed(1)
    bound = ELBO().bound(log_terms(*pair, batch))
    log_q = pair[1].classifier(batch["x"]).log_softmax(-1)
    figures = estimator.figures()
    exactly(figures["labelled_bound"], bound[y >= 0].mean())
    exactly(figures["unlabelled_bound"], bound[y < 0].mean())
    exactly(figures["cross_entropy"], -log_q[torch.arange(8), y.clamp(min=0)][y >= 0].mean())
    # A batch without labelled rows has nothing to say of them.
    estimator.differentiable_loss(*pair, x=batch["x"])
    assert torch.equal(estimator.figures()["cross_entropy"], figures["cross_entropy"])


def test_evaluation_reports_nothing_and_learns_nothing(batch):
    pair, estimator = m2(5), SemiSupervised(7.0)
    estimator.loss(*pair, **batch)
    estimator.eval()
    estimator.differentiable_loss(*pair, **batch)
    assert all(value.isnan() for value in estimator.figures().values())


def test_a_baseline_of_the_bound_learns_once_a_step(batch):
    baseline = MovingAverage()
    estimator = SemiSupervised(1.0, of=ELBO(gradient=ScoreFunction(baseline)))
    pair = m2(5, enumerated=False)
    before = {name: value.clone() for name, value in baseline.state_dict().items()}
    estimator.differentiable_loss(*pair, **batch)
    assert any((value != before[name]).any() for name, value in baseline.state_dict().items())


CAPTURED = {
    "m2": lambda: SemiSupervised(3.0),
    "m2-factored": lambda: SemiSupervised(3.0, 0.5, of=IWAE(3, expected=True)),
    "m2-drawn": lambda: SemiSupervised(3.0, of=ELBO(gradient=ScoreFunction(MovingAverage()))),
    "m2-soft": lambda: SemiSupervised(3.0),
    "m1-m2": lambda: SemiSupervised(3.0),
}


@pytest.mark.parametrize("name", CAPTURED)
def test_a_replayed_step_is_pythons_bit_for_bit(name):
    pair = PAIRS[name]()
    batches = [fields_for(pair, rows_for(pair)) for _ in range(2)]
    svi = assert_equal_trainings(PAIRS[name], CAPTURED[name], batches)
    assert svi.how == "replay"


def test_a_graph_takes_the_labels_of_each_batch():
    """One graph serves batches whose labels lie in other rows."""
    pair = PAIRS["m2"]()
    batches = [fields_for(pair, rows_for(pair)) for _ in range(3)]
    batches[1]["y"], batches[2]["y"] = batches[1]["y"].flip(0), torch.full((8,), -1)
    assert assert_equal_trainings(PAIRS["m2"], CAPTURED["m2"], batches).how == "replay"


def test_the_laws_hold_on_pairs_without_labels():
    report = check_estimator(SemiSupervised(0.0), draws=500)
    assert report.name == "m2:0:1:1"
    check_estimator(SemiSupervised(2.0, 0.5), draws=500)


def test_without_labels_it_is_the_bound_of_the_others():
    (model, guide), x = binary_vae(), binary_rows()
    terms = log_terms(model, guide, x)
    exactly(SemiSupervised(5.0, 0.5).surrogate(terms), 0.5 * ELBO().surrogate(terms))


def test_a_name_trains_labels(batch):
    model, guide = m2(5)
    svi = SVI(model, guide, partial(torch.optim.Adam, lr=0.03), estimator_named("m2:5"))
    for _ in range(200):
        svi.step(**batch)
    y = batch["y"]
    found = guide.classifier(batch["x"]).argmax(-1)
    assert (found[y >= 0] == y[y >= 0]).all()
    assert Pair(model, guide).scope is svi.pair.scope


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: SemiSupervised(-1.0), ValueError, r"alpha must be at least 0 and finite; got -1"),
        (lambda: SemiSupervised(1.0, float("nan")), ValueError, "beta must be .* got nan"),
        (lambda: SemiSupervised(of="elbo"), TypeError, "of must be a ppvae Estimator; got str"),
        (lambda: estimator_named("m2:-1"), ValueError, "alpha must be at least 0"),
        (lambda: estimator_named("m2:1:1:0"), ValueError, "num_particles must be at least 1"),
    ],
)
def test_bad_settings_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
