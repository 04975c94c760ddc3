"""Bounds as sums written out: with enumerated labels, under subsampling, for each datum alone."""

from functools import partial

import pyro
import pyro.distributions as dist
import pytest
import torch
from programs import ENUMERATED, labelled_pair, linear_pair, standard_normal
from torch.testing import assert_close

from ppvae import log_terms
from ppvae.estimators import (
    CIWAE,
    CUBO,
    IWAE,
    MIWAE,
    PIWAE,
    TVO,
    Renyi,
    TailAdaptive,
    UpperTVO,
    VRMax,
)

exactly = partial(assert_close, rtol=0, atol=1e-10)
POINTS = (0.0, 0.2, 1.0)


def log_mean(w):
    return w.mean(0).log()


def tempered(w, beta):
    """E_beta[log w] of weights (K, B)."""
    return (w**beta * w.log()).sum(0) / (w**beta).sum(0)


# From weights (4, B), which are not logarithms, to the bound.
BY_HAND = {
    "iwae": (IWAE, (4,), log_mean),
    "renyi": (Renyi, (-1.5, 4), lambda w: log_mean(w**2.5) / 2.5),
    "vr-max": (VRMax, (4,), lambda w: w.max(0).values.log()),
    "miwae": (MIWAE, (2, 2), lambda w: (log_mean(w[:2]) + log_mean(w[2:])) / 2),
    "piwae": (PIWAE, (2, 2), log_mean),
    "ciwae": (CIWAE, (0.3, 4), lambda w: 0.3 * w.log().mean(0) + 0.7 * log_mean(w)),
    "tvo": (TVO, (POINTS, 4), lambda w: 0.2 * w.log().mean(0) + 0.8 * tempered(w, 0.2)),
    "tvo-upper": (UpperTVO, (POINTS, 4), lambda w: 0.2 * tempered(w, 0.2) + 0.8 * tempered(w, 1)),
    "cubo": (CUBO, (3.0, 4), lambda w: log_mean(w**3) / 3),
    "tail": (TailAdaptive, (4,), log_mean),
}
INSIDE_ALONE = {"tvo-upper", "cubo", "tail"}
every = pytest.mark.parametrize("make, numbers, by_hand", BY_HAND.values(), ids=BY_HAND)
outside = pytest.mark.parametrize(
    "make, numbers, by_hand",
    [row for name, row in BY_HAND.items() if name not in INSIDE_ALONE],
    ids=[name for name in BY_HAND if name not in INSIDE_ALONE],
)


def labelled_terms():
    """The pair, its rows, its terms at 4 draws, and log w by label, (C, K, B)."""
    pair, x = labelled_pair(), torch.randn(5, 4)
    for parameter in (pair.logits, pair.weight):
        parameter.requires_grad_()
    terms = log_terms(pair.model, pair.guide, x, num_particles=4)
    return pair, x, terms, pair.log_weight(x, terms.values["z"])


@every
def test_labels_inside_of_the_weight_are_summed_in_it(make, numbers, by_hand):
    pair, x, terms, log_weight = labelled_terms()
    inside = (log_weight + pair.log_labels(x)[:, None]).exp().sum(0)
    exactly(make(*numbers).bound(terms), by_hand(inside))


@outside
def test_labels_outside_of_the_bound_are_summed_under_q(make, numbers, by_hand):
    pair, x, terms, log_weight = labelled_terms()
    log_labels = pair.log_labels(x)
    # L(x, y) - log q(y|x) of each label: the weight without q(y|x), by hand, and then with it.
    each = [by_hand((w + lq).exp()) - lq for w, lq in zip(log_weight, log_labels, strict=True)]
    by_label = (log_labels.exp() * torch.stack(each)).sum(0)
    exactly(make(*numbers, expected=True).bound(terms), by_label)


@outside
def test_labels_outside_of_the_bound_give_q_its_gradient(make, numbers, by_hand):
    pair, x, terms, log_weight = labelled_terms()
    log_labels = pair.log_labels(x)
    # The guide of PIWAE follows the groups.
    by_hand = BY_HAND["miwae"][2] if make is PIWAE else by_hand
    each = [by_hand((w + lq).exp()) - lq for w, lq in zip(log_weight, log_labels, strict=True)]
    by_label = (log_labels.exp() * torch.stack(each)).sum()
    followed = make(*numbers, expected=True).surrogate(terms).sum()
    (wanted,) = torch.autograd.grad(by_label, pair.logits, retain_graph=True)
    exactly(torch.autograd.grad(followed, pair.logits), (wanted,))


@pytest.mark.parametrize(
    "make, numbers",
    [row[:2] for row in BY_HAND.values() if row[0] is not TailAdaptive],
    ids=[name for name in BY_HAND if name != "tail"],
)
def test_labels_inside_of_the_weight_leave_q_without_a_gradient(make, numbers):
    pair, _, terms, _ = labelled_terms()
    followed = make(*numbers).surrogate(terms).sum()
    (gradient,) = torch.autograd.grad(followed, pair.logits, allow_unused=True)
    assert gradient is None or gradient.abs().max() < 1e-12


def of_two_labels():
    """Two labels, the second given the first, and a code that depends on neither."""
    weight = torch.randn(4, 2)

    def model(x):
        with pyro.plate("data", len(x), dim=-1):
            y1 = pyro.sample("y1", dist.Categorical(torch.tensor([0.2, 0.5, 0.3])))
            y2 = pyro.sample("y2", dist.Bernoulli(0.2 + 0.3 * y1))
            z = pyro.sample("z", standard_normal(2))
            loc = z @ weight.T + (y1 - 2 * y2).unsqueeze(-1)
            pyro.sample("x", dist.Normal(loc, 1.0).to_event(1), obs=x)

    def guide(x):
        with pyro.plate("data", len(x), dim=-1):
            y1 = pyro.sample("y1", dist.Categorical(logits=x[:, :3]), infer=ENUMERATED)
            pyro.sample("y2", dist.Bernoulli(logits=x[:, 0] * y1), infer=ENUMERATED)
            pyro.sample("z", dist.Normal(x[:, :2], 0.5).to_event(1))

    def weights(x, z):
        """sum_y p(x, y, z) / q(z|x), (K, B), label by label."""
        total = 0.0
        for y1, share in enumerate((0.2, 0.5, 0.3)):
            for y2 in (0.0, 1.0):
                second = 0.2 + 0.3 * y1
                label = share * (second if y2 else 1 - second)
                like = dist.Normal(z @ weight.T + (y1 - 2 * y2), 1.0).log_prob(x).sum(-1)
                total = total + label * like.exp()
        prior, code = standard_normal(2).log_prob(z), dist.Normal(x[:, :2], 0.5).log_prob(z).sum(-1)
        return total * (prior - code).exp()

    return model, guide, weights


@every
def test_several_labels_are_summed_in_the_weight(make, numbers, by_hand):
    (model, guide, weights), x = of_two_labels(), torch.randn(5, 4)
    terms = log_terms(model, guide, x, num_particles=4)
    exactly(make(*numbers).bound(terms), by_hand(weights(x, terms.values["z"])))


def test_tail_adaptive_takes_labels_that_no_draw_depends_on():
    (model, guide, _), x = of_two_labels(), torch.randn(5, 4)
    terms = log_terms(model, guide, x, num_particles=4)
    assert TailAdaptive(4).surrogate(terms).shape == (5,)


@every
def test_a_subsample_has_the_bound_of_each_datum_and_the_loss_its_scale(make, numbers, by_hand):
    pair, x = linear_pair(offset=0.5), torch.randn(3, 4)
    estimator = make(*numbers)

    def plate():
        return pyro.plate("data", 30, subsample=torch.arange(3), dim=-1)

    def model(x):
        with plate():
            z = pyro.sample("z", standard_normal(2))
            pyro.sample("x", dist.Normal(z @ pair.weight.T, 1.0).to_event(1), obs=x)

    def guide(x):
        q = dist.Normal(x @ pair.slope.T + pair.shift, pair.log_scale.exp()).to_event(1)
        with plate():
            pyro.sample("z", q)

    pyro.set_rng_seed(2)
    terms = log_terms(model, guide, x, num_particles=4)
    z = terms.values["z"]
    joint = standard_normal(2).log_prob(z) + dist.Normal(z @ pair.weight.T, 1).log_prob(x).sum(-1)
    q = dist.Normal(x @ pair.slope.T + pair.shift, pair.log_scale.exp()).log_prob(z).sum(-1)
    bound = by_hand((joint - q).exp())
    exactly(estimator.bound(terms), bound)
    pyro.set_rng_seed(2)
    followed = estimator.differentiable_loss(model, guide, x)
    exactly(followed, -10 * bound.sum())
    # What is followed is scaled alike: ten times the gradient of the three rows alone.
    pyro.set_rng_seed(2)
    alone = estimator.differentiable_loss(pair.model, pair.guide, x)
    ours = torch.autograd.grad(followed, [pair.slope, pair.shift, pair.log_scale])
    rows = torch.autograd.grad(alone, [pair.slope, pair.shift, pair.log_scale])
    exactly(ours, tuple(10 * gradient for gradient in rows))


@every
def test_a_latent_site_outside_of_the_plate_makes_one_weight_of_all_rows(make, numbers, by_hand):
    x, loc, log_scale = torch.randn(6), torch.tensor(0.2), torch.tensor(-1.0)
    leaves = [loc.requires_grad_(), log_scale.requires_grad_()]

    def model(x):
        mu = pyro.sample("mu", dist.Normal(torch.zeros(()), 1.0))
        with pyro.plate("data", len(x), dim=-1):
            pyro.sample("x", dist.Normal(mu, 1.0), obs=x)

    def guide(x):
        pyro.sample("mu", dist.Normal(loc, log_scale.exp()))

    pyro.set_rng_seed(1)
    terms = log_terms(model, guide, x, num_particles=4)
    estimator = make(*numbers)
    together = (terms.log_weight.sum(1) + terms.global_weight)[:, None]
    exactly(estimator.bound(terms).sum(), by_hand(together.exp())[0])

    # The same draws as of one datum, six-dimensional: what is followed is the same too.
    def whole(x):
        with pyro.plate("data", 1, dim=-1):
            mu = pyro.sample("mu", dist.Normal(torch.zeros(1), 1.0))
            loc = mu.unsqueeze(-1).expand(*mu.shape, 6)
            pyro.sample("x", dist.Normal(loc, 1.0).to_event(1), obs=x)

    def guided(x):
        with pyro.plate("data", 1, dim=-1):
            pyro.sample("mu", dist.Normal(loc, log_scale.exp()))

    pyro.set_rng_seed(1)
    alone = log_terms(whole, guided, x[None], num_particles=4)
    followed = torch.autograd.grad(estimator.surrogate(terms).sum(), leaves)
    exactly(followed, torch.autograd.grad(estimator.surrogate(alone).sum(), leaves))
