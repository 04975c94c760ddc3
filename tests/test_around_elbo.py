"""Objectives around the ELBO equal their formulas; what is reported is the ELBO."""

import math
from functools import partial

import pyro
import pyro.distributions as dist
import pytest
import torch
from programs import binary_rows, binary_vae, labelled_pair, linear_pair, rows, standard_normal
from pyro import poutine
from torch.testing import assert_close

from ppvae import (
    ELBO,
    SVI,
    BetaELBO,
    CapacityELBO,
    ConstrainedELBO,
    FreeBitsELBO,
    Schedule,
    log_terms,
)

exactly = partial(assert_close, rtol=0, atol=1e-10)


def warmed_up(**settings):
    estimator = BetaELBO(Schedule(0.0, 1.0, steps=10), **settings)
    for _ in range(3):
        estimator.beta.advance()
    return estimator


def constrained(**settings):
    estimator = ConstrainedELBO(**settings)
    estimator.log_multiplier.fill_(0.7)
    return estimator


def capacity(kl, gamma, level):
    return gamma * (kl.mean() - level).abs()


# Estimator, and its objective from reconstruction R and KL, each (B,).
OBJECTIVES = {
    "beta 4": (partial(BetaELBO, 4.0), lambda r, kl: r - 4.0 * kl),
    "beta 1": (partial(BetaELBO, 1.0), lambda r, kl: r - kl),
    "beta 0": (partial(BetaELBO, 0.0), lambda r, kl: r + 0.0 * kl),
    "warm-up": (warmed_up, lambda r, kl: r - 0.3 * kl),
    "above capacity": (partial(CapacityELBO, 5.0, 0.1), lambda r, kl: r - capacity(kl, 5.0, 0.1)),
    "below capacity": (partial(CapacityELBO, 5.0, 9.0), lambda r, kl: r - capacity(kl, 5.0, 9.0)),
    "above free bits": (partial(FreeBitsELBO, 0.05), lambda r, kl: r - kl),
    "below free bits": (partial(FreeBitsELBO, 50.0), lambda r, kl: r - kl - (50.0 - kl.mean())),
    "kl kept": (partial(constrained, kl=1.5), lambda r, kl: r - math.exp(0.7) * (kl - 1.5)),
    "reconstruction kept": (
        partial(constrained, reconstruction=-6.0),
        lambda r, kl: math.exp(0.7) * (r + 6.0) - kl,
    ),
}
objectives = pytest.mark.parametrize(("make", "by_hand"), OBJECTIVES.values(), ids=OBJECTIVES)
ways = pytest.mark.parametrize("closed", [False, True], ids=["sampled", "closed"])


def parts_by_hand(pair, x, terms, closed):
    """Reconstruction and KL of a linear pair at the draws of terms, (B,) each."""
    loc, scale = x @ pair.slope.T + pair.shift, pair.log_scale.exp()
    z = loc + scale * ((terms.values["z"] - loc) / scale).detach()
    reconstruction = dist.Normal(z @ pair.weight.T, 1.0).log_prob(x).sum(-1).mean(0)
    if closed:
        return reconstruction, 0.5 * (loc**2 + scale**2 - 1 - 2 * pair.log_scale).sum(-1)
    log_q = dist.Normal(loc, scale).log_prob(z).sum(-1)
    return reconstruction, (log_q - dist.Normal(0.0, 1.0).log_prob(z).sum(-1)).mean(0)


@objectives
@ways
@pytest.mark.parametrize("num_particles", [1, 4])
def test_value_and_gradient_are_those_of_the_formula(make, by_hand, closed, num_particles):
    pair, x = linear_pair(offset=0.8), torch.randn(5, 4)
    pair.weight.requires_grad_()
    leaves = (pair.weight, pair.slope, pair.shift, pair.log_scale)
    terms = log_terms(pair.model, pair.guide, x, num_particles=num_particles)
    surrogate = make(num_particles=num_particles, analytic_kl=closed).surrogate(terms)
    expected = by_hand(*parts_by_hand(pair, x, terms, closed))
    exactly(surrogate, expected)
    ours, theirs = (torch.autograd.grad(e.sum(), leaves) for e in (surrogate, expected))
    exactly(ours, theirs)


@objectives
@ways
def test_what_is_reported_is_the_elbo_to_the_last_bit(make, by_hand, closed):
    pair, x = binary_vae(), binary_rows()
    losses = []
    for estimator in (make(analytic_kl=closed), ELBO(analytic_kl=closed)):
        for loss in (estimator.differentiable_loss, estimator.loss):
            pyro.set_rng_seed(3)
            losses.append(float(torch.as_tensor(loss(*pair, x)).detach()))
    assert len(set(losses)) == 1


@ways
def test_beta_one_trains_as_the_elbo_bit_for_bit(closed):
    trained = []
    for estimator in (BetaELBO(1.0, 2, closed), ELBO(2, closed)):
        pyro.set_rng_seed(1)
        (model, guide), x = binary_vae(), binary_rows()
        svi = SVI(model, guide, torch.optim.Adam, estimator)
        losses = [svi.step(x) for _ in range(5)]
        trained.append((losses, [p.detach().clone() for p in svi.pair.leaves.values()]))
    assert trained[0][0] == trained[1][0]
    assert all(map(torch.equal, trained[0][1], trained[1][1]))


@ways
def test_at_beta_zero_a_decoder_that_is_deaf_leaves_the_guide_alone(closed):
    pair = linear_pair(offset=0.8)
    pair.weight.zero_()
    terms = log_terms(pair.model, pair.guide, torch.randn(5, 4))
    surrogate = BetaELBO(0.0, analytic_kl=closed).surrogate(terms).sum()
    for gradient in torch.autograd.grad(surrogate, (pair.slope, pair.shift, pair.log_scale)):
        exactly(gradient, torch.zeros_like(gradient))


@pytest.mark.parametrize("num_particles", [1, 4])
def test_the_kl_of_labels_is_summed_under_them(num_particles):
    pair, x = labelled_pair(), torch.randn(5, 4)
    terms = log_terms(pair.model, pair.guide, x, num_particles=num_particles)
    z, y = terms.values["z"], torch.arange(3.0)[:, None, None, None]
    log_y = pair.log_labels(x)[:, None]
    log_z = dist.Normal(x[:, :2] + 0.3 * y, 0.5).log_prob(z).sum(-1)
    of_y = (log_y.exp() * (log_y - pair.prior.log()[:, None, None])).sum(0).mean(0)
    of_z = (log_y.exp() * (log_z - standard_normal(2).log_prob(z))).sum(0).mean(0)
    elbo = ELBO(num_particles).bound(terms)
    exactly(BetaELBO(3.0, num_particles).objective(terms), elbo - 2 * (of_y + of_z))
    # Each site has free nats of its own.
    nats = float(of_y.mean() + of_z.mean()) / 2
    missing = sum(max(0.0, nats - float(kl.mean())) for kl in (of_y, of_z))
    assert missing > 0.1
    exactly(FreeBitsELBO(nats, num_particles).objective(terms), elbo - missing)


def labels_of_the_model_alone():
    """y ~ Categorical, z ~ N(y, 1), x ~ N(z, 1); the guide has no y."""
    prior = torch.tensor([0.2, 0.8])

    def model(x):
        with rows(x):
            y = pyro.sample("y", dist.Categorical(prior), infer={"enumerate": "parallel"})
            z = pyro.sample("z", dist.Normal(2.0 * y, 1.0))
            pyro.sample("x", dist.Normal(z + y, 1.0), obs=x)

    def guide(x):
        with rows(x):
            pyro.sample("z", dist.Normal(x / 2, 0.7))

    return model, guide, prior


@ways
def test_the_prior_of_a_code_is_a_mixture_over_the_labels_of_the_model_alone(closed):
    model, guide, prior = labels_of_the_model_alone()
    terms = log_terms(model, guide, torch.randn(5), num_particles=3)
    z, y = terms.values["z"], torch.arange(2.0)[:, None, None]
    log_prior = (prior.log()[:, None, None] + dist.Normal(2 * y, 1.0).log_prob(z)).logsumexp(0)
    kl = (terms.log_posterior - log_prior).mean(0)
    objective = BetaELBO(3.0, 3, closed).objective(terms)
    exactly(objective, ELBO(3, closed).bound(terms) - 2 * kl)


def test_free_bits_refuse_labels_of_the_model_alone():
    model, guide, _ = labels_of_the_model_alone()
    terms = log_terms(model, guide, torch.randn(5))
    with pytest.raises(
        ValueError, match="FreeBitsELBO needs every label in the guide too; got 'y'"
    ):
        FreeBitsELBO(1.0).surrogate(terms)


AVERAGING = [CapacityELBO(5.0, 9.0), FreeBitsELBO(9.0), ConstrainedELBO(kl=2.0)]


@pytest.mark.parametrize("estimator", AVERAGING, ids=lambda e: type(e).__name__)
def test_rows_that_are_masked_out_do_not_count(estimator):
    pair, x = linear_pair(offset=0.8), torch.randn(6, 4)
    kept = torch.tensor([True, False, True, True, False, False])
    masked = [poutine.mask(p, mask=kept) for p in (pair.model, pair.guide)]
    estimator.elbo.analytic_kl = True
    alone = estimator.added(log_terms(pair.model, pair.guide, x[kept]))
    together = estimator.added(log_terms(*masked, x))
    exactly(together[kept], alone)
    exactly(together[~kept], torch.zeros(3))


def test_a_code_of_all_rows_has_its_share_in_the_kl():
    def model(x):
        mu = pyro.sample("mu", dist.Normal(torch.zeros(()), 1.0))
        with rows(x):
            z = pyro.sample("z", dist.Normal(mu, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x):
        pyro.sample("mu", dist.Normal(torch.tensor(0.4), 0.6))
        with rows(x):
            pyro.sample("z", dist.Normal(x / 2, 0.8))

    terms = log_terms(model, guide, torch.randn(6), num_particles=3)
    kl = terms.log_ratio.sum(1) - terms.global_weight
    expected = (terms.log_likelihood.sum(1) - 3.0 * kl).mean()
    exactly(BetaELBO(3.0, 3).objective(terms).sum(), expected)


def test_the_objective_of_a_training_step_is_a_figure_beside_beta():
    pair, x = linear_pair(offset=0.8), torch.randn(5, 4)
    estimator = BetaELBO(Schedule(0.0, 1.0, steps=4))
    assert math.isnan(float(estimator.figures()["objective"]))
    pyro.set_rng_seed(2)
    expected = BetaELBO(0.0).objective(log_terms(pair.model, pair.guide, x)).mean()
    pyro.set_rng_seed(2)
    estimator.differentiable_loss(pair.model, pair.guide, x)
    figures = {name: float(value) for name, value in estimator.figures().items()}
    assert figures == pytest.approx({"beta": 0.25, "objective": float(expected.detach())})


def test_the_multiplier_follows_a_moving_average_of_the_excess():
    pair, x = linear_pair(offset=0.8), torch.randn(5, 4)
    estimator = ConstrainedELBO(kl=1.0, rate=0.1, decay=0.6, analytic_kl=True)
    average, log_multiplier = None, 0.0
    for shift in (0.8, 0.1, -0.5):
        pair.shift.data.fill_(shift)
        estimator.differentiable_loss(pair.model, pair.guide, x)
        terms = log_terms(pair.model, pair.guide, x)
        excess = parts_by_hand(pair, x, terms, closed=True)[1].mean().item() - 1.0
        average = excess if average is None else 0.6 * average + 0.4 * excess
        log_multiplier += 0.1 * average
        figures = estimator.figures()
        assert float(figures["excess"]) == pytest.approx(average, abs=1e-10)
        assert float(figures["multiplier"]) == pytest.approx(math.exp(log_multiplier), abs=1e-10)
