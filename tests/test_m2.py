"""M2 equals the sum over its labels written by hand: labelled rows, others, and both in a batch."""

from functools import partial

import pyro
import pyro.distributions as dist
import pytest
import torch
from labelled_pairs import CLASSES, m2, partly
from pyro import poutine
from pyro.infer import TraceEnum_ELBO
from torch.testing import assert_close

from ppvae import ELBO, IWAE, Pair, ScoreFunction, evaluate, log_terms
from ppvae.distributions import GaussianLikelihood, StandardNormal
from ppvae.networks import MLP, FirstInput

exactly = partial(assert_close, rtol=0, atol=1e-10)
few_and_many = pytest.mark.parametrize("num_particles", [1, 4])
B, P = 6, 4
LABELS = {
    "mixed": partly(torch.zeros(B)),
    "labelled": torch.arange(B) % CLASSES,
    "free": torch.full((B,), -1),
}
every_kind = pytest.mark.parametrize("y", LABELS.values(), ids=LABELS)
both_guides = pytest.mark.parametrize("factored", [False, True], ids=["z given y", "factored"])


@pytest.fixture
def x():
    return torch.randn(B, P)


def gaussian(**settings):
    return m2(P, GaussianLikelihood(0.8), **settings)


def log_weight(model, guide, x, z):
    """Log p(x, y, z) - log q(z|x, y) of codes z, (C, K, B, D) or (K, B, D), each (C, K, B)."""
    y = torch.eye(CLASSES)[:, None, None]
    joint = model.label_prior.logits[:, None, None] - 0.5 * z.square().sum(-1)
    decoded = model.decoder(z, y)
    joint = joint + dist.Normal(decoded, 0.8).log_prob(x).sum(-1)
    loc, log_scale = guide.encoder(x, y).chunk(2, -1)
    standard = (z - loc) / log_scale.exp()
    return joint + 0.5 * standard.square().sum(-1) + log_scale.sum(-1)


def log_labels(guide, x):
    """Log q(y|x) of the classifier, (C, B)."""
    return guide.classifier(x).log_softmax(-1).T


def by_hand(bound, of_labels, y):
    """L in labelled rows and U in the others, (B,), from F(y), (C, B), and log q(y|x), (C, B)."""
    free = (of_labels.exp() * (bound - of_labels)).sum(0)
    own = bound[y.clamp(min=0), torch.arange(len(y))]
    return torch.where(y >= 0, own, free)


def gradients_of(bound, pair):
    leaves = [leaf for part in pair for leaf in part.parameters()]
    found = torch.autograd.grad(bound.sum(), leaves, allow_unused=True, retain_graph=True)
    return [torch.zeros_like(a) if g is None else g for a, g in zip(leaves, found, strict=True)]


BOUNDS = {
    "elbo": (ELBO, lambda w: w.mean(1)),
    "iwae": (
        partial(IWAE, expected=True),
        lambda w: w.logsumexp(1) - torch.tensor(w.shape[1]).log(),
    ),
}


@few_and_many
@every_kind
@both_guides
@pytest.mark.parametrize("name", BOUNDS)
def test_bounds_and_gradients_are_the_sum_over_labels_by_hand(x, y, factored, num_particles, name):
    pair, (estimator, of_draws) = gaussian(factored=factored), BOUNDS[name]
    terms = log_terms(*pair, {"x": x, "y": y}, num_particles=num_particles)
    found = estimator(num_particles).bound(terms)
    weight = log_weight(*pair, x, terms.values["z"])
    expected = by_hand(of_draws(weight), log_labels(pair[1], x), y)
    exactly(found, expected)
    for ours, theirs in zip(gradients_of(found, pair), gradients_of(expected, pair), strict=True):
        exactly(ours, theirs)


@few_and_many
@every_kind
@both_guides
def test_labels_inside_the_weight_are_the_sum_by_hand(x, y, factored, num_particles):
    pair = gaussian(factored=factored)
    terms = log_terms(*pair, {"x": x, "y": y}, num_particles=num_particles)
    found = IWAE(num_particles).bound(terms)
    weight = log_weight(*pair, x, terms.values["z"]).exp().mean(1)
    own = weight[y.clamp(min=0), torch.arange(B)]
    expected = torch.where(y >= 0, own, weight.sum(0)).log()
    exactly(found, expected)
    for ours, theirs in zip(gradients_of(found, pair), gradients_of(expected, pair), strict=True):
        exactly(ours, theirs)


@few_and_many
@every_kind
@both_guides
def test_the_loss_and_its_gradients_are_those_of_pyros_trace_enum_elbo(
    x, y, factored, num_particles
):
    pair, found = gaussian(factored=factored), []
    theirs = TraceEnum_ELBO(num_particles, max_plate_nesting=1, vectorize_particles=True)
    for estimator in (ELBO(num_particles), theirs):
        log_terms(*pair, x)  # what is learned of a new pair draws nothing from here on
        pyro.set_rng_seed(3)
        loss = estimator.differentiable_loss(*pair, x, y)
        found.append([loss, *gradients_of(loss, pair)])
    for ours, others in zip(*found, strict=True):
        exactly(ours, others)


@both_guides
def test_a_mixed_batch_is_the_two_separate_ones(x, factored):
    pair, y = gaussian(factored=factored), LABELS["mixed"]
    mixed = log_terms(*pair, {"x": x, "y": y}, num_particles=4)
    for rows in (y >= 0, y < 0):
        guide = given(pair, {"z": mixed.values["z"][..., rows, :]})
        alone = log_terms(pair[0], guide, {"x": x[rows], "y": y[rows]}, num_particles=4)
        for estimator in (ELBO(4), IWAE(4)):
            exactly(estimator.bound(alone), estimator.bound(mixed)[rows])


def given(pair, values):
    """The guide, whose draws are given."""
    draws = poutine.Trace()
    for name, value in values.items():
        draws.add_node(name, name=name, type="sample", value=value, is_observed=False, infer={})
    guide = poutine.replay(pair[1], trace=draws)
    scope = Pair(pair[0], guide).scope
    # The draws that are given are of all K at once.
    scope.plate_nesting, scope.vectorized = 1, True
    return guide


def test_without_labels_every_row_is_free(x):
    pair, found = gaussian(), []
    for fields in ({"x": x}, {"x": x, "y": LABELS["free"]}):
        pyro.set_rng_seed(1)
        found.append(ELBO().bound(log_terms(*pair, fields)))
    assert torch.equal(*found)


def test_labelled_rows_teach_the_classifier_nothing_through_the_bound(x):
    model, guide = gaussian()
    bound = ELBO().bound(log_terms(model, guide, {"x": x, "y": LABELS["labelled"]}))
    for leaf in torch.autograd.grad(bound.sum(), list(guide.classifier.parameters())):
        assert not leaf.any()


def test_drawn_labels_with_their_score_have_the_gradient_of_the_sum(x):
    """Of 24 gradients of some 60 parameters a false alarm comes once in 10^4 runs."""
    summed = gaussian(hidden=())
    drawn = gaussian(hidden=(), enumerated=False)
    for ours, others in zip(drawn, summed, strict=True):
        ours.load_state_dict(others.state_dict())
    y, found = LABELS["mixed"], []
    for pair, estimator in ((summed, ELBO(300)), (drawn, ELBO(300, gradient=ScoreFunction()))):
        each = []
        for _ in range(150):
            loss = estimator.differentiable_loss(*pair, x, y)
            each.append(torch.cat([g.flatten() for g in gradients_of(loss, pair)]))
        found.append(torch.stack(each))
    error = sum(each.var(0) / len(each) for each in found).sqrt()
    difference = found[0].mean(0) - found[1].mean(0)
    assert (difference.abs() <= 5 * error + 1e-12).all()
    assert (difference.abs() > 0).any()


def test_soft_labels_at_a_corner_are_labels(x):
    """Where every row has its label, nothing is relaxed."""
    hard, soft = gaussian(), gaussian(soft=True)
    for ours, others in zip(soft, hard, strict=True):
        ours.load_state_dict(others.state_dict())
    batch = {"x": x, "y": LABELS["labelled"]}
    terms = log_terms(*hard, batch)
    own = terms.values["z"][batch["y"], 0, torch.arange(B)]
    again = log_terms(soft[0], given(soft, {"z": own}), batch)
    exactly(ELBO().bound(again), ELBO().bound(terms))


def test_a_cooler_soft_label_is_nearer_to_the_sum(x):
    """Of one row's bound without labels, relaxed at falling temperatures, from 40000 draws."""
    hard, errors = gaussian(), []
    summed = ELBO(2000).bound(log_terms(*hard, x, num_particles=2000)).detach()
    for temperature in (2.0, 0.1):
        soft = gaussian(soft=True)
        for ours, others in zip(soft, hard, strict=True):
            ours.load_state_dict(others.state_dict())
        soft[1].labels.temperature = temperature
        found = ELBO(2000).bound(log_terms(*soft, x, num_particles=2000)).detach()
        errors.append((found - summed).abs().mean())
    assert errors[1] < errors[0] / 2


def test_coordinates_of_a_code_that_reads_no_label_are_told_apart_from_labels(x):
    """As many coordinates as labels: summed over one in place of the other, they would fit."""
    model, guide = gaussian(factored=True)
    model.prior = StandardNormal(CLASSES)
    model.decoder = MLP([CLASSES, CLASSES], [], P)
    guide.encoder = FirstInput(MLP(P, [], 2 * CLASSES))
    found = evaluate((model, guide), {"x": x, "y": LABELS["mixed"]}, num_particles=3)
    loc, log_scale = guide.encoder(x).detach().chunk(2, -1)
    kl = 0.5 * (loc.square() + (2 * log_scale).exp() - 1) - log_scale
    exactly(torch.from_numpy(found["kl_by_dim"].values), kl.mean(0))
