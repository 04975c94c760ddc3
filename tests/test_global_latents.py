"""Latent sites outside of the data plate: counted once, whatever part of the data is seen."""

from functools import partial

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch.testing import assert_close

from ppvae import ELBO, IWAE, Renyi, log_terms

NUM_ROWS = 40
LOC, SCALE = 0.4, 0.6  # q(mu)
SLOPE, SPREAD = 0.5, 0.8  # q(z|x) = N(SLOPE x, SPREAD^2)
exactly = partial(assert_close, rtol=0, atol=1e-10)


def plate(x, subsample_size=None):
    return pyro.plate("data", len(x), subsample_size=subsample_size, dim=-1)


def hierarchical(subsample_size=None):
    """mu ~ N(0, 1), z_i ~ N(mu, 1), x_i ~ N(z_i, 1)."""

    def model(x):
        mu = pyro.sample("mu", dist.Normal(torch.zeros(()), 1.0))
        with plate(x, subsample_size) as rows:
            z = pyro.sample("z", dist.Normal(mu, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x[rows])

    def guide(x):
        pyro.sample("mu", dist.Normal(torch.tensor(LOC), SCALE))
        with plate(x, subsample_size) as rows:
            pyro.sample("z", dist.Normal(SLOPE * x[rows], SPREAD))

    return model, guide


def exact_elbo(x):
    """The three Gaussian expectations of the hierarchical pair, summed over all rows."""
    normal, unit = dist.Normal(LOC, SCALE), torch.ones(())
    kl_mu = torch.distributions.kl_divergence(normal, dist.Normal(0.0, unit))
    constant = -0.5 * torch.log(torch.tensor(2 * torch.pi))
    loc = SLOPE * x
    log_likelihood = constant - 0.5 * ((x - loc) ** 2 + SPREAD**2)
    log_prior = constant - 0.5 * ((loc - LOC) ** 2 + SPREAD**2 + SCALE**2)
    entropy = dist.Normal(loc, SPREAD).entropy()
    return (log_likelihood + log_prior + entropy).sum() - kl_mu


def conjugate():
    """mu ~ N(0, 1), x_i ~ N(mu, 1), with the exact posterior of mu as guide."""

    def model(x):
        mu = pyro.sample("mu", dist.Normal(torch.zeros(()), 1.0))
        with plate(x):
            pyro.sample("x", dist.Normal(mu, 1.0), obs=x)

    def guide(x):
        pyro.sample("mu", dist.Normal(x.sum() / (len(x) + 1), (len(x) + 1) ** -0.5))

    return model, guide


@pytest.mark.parametrize("subsample_size", [None, 8])
def test_elbo_is_unbiased_whatever_part_of_the_data_is_seen(subsample_size):
    x = torch.randn(NUM_ROWS) + 1
    model, guide = hierarchical(subsample_size)
    estimator = ELBO(20)
    bounds = torch.tensor([-estimator.loss(model, guide, x) for _ in range(400)])
    error = bounds.mean() - exact_elbo(x)
    assert error.abs() < 5 * bounds.std() / 400**0.5


@pytest.mark.parametrize("subsample_size", [None, 8])
def test_the_share_of_the_global_site_is_spread_over_all_rows(subsample_size):
    x = torch.randn(NUM_ROWS)
    terms = log_terms(*hierarchical(subsample_size), x, num_particles=3)
    seen = subsample_size or NUM_ROWS
    assert terms.log_weight.shape == (3, seen)
    expected = terms.log_weight.mean(0) + terms.global_weight.mean() / NUM_ROWS
    exactly(ELBO(3).bound(terms), expected)


@pytest.mark.parametrize("num_particles", [1, 5, 50])
@pytest.mark.parametrize("bound", [ELBO, IWAE, partial(Renyi, 0.5)], ids=["elbo", "iwae", "renyi"])
def test_exact_posterior_of_a_global_site_closes_the_gap(bound, num_particles):
    x = torch.randn(6)
    terms = log_terms(*conjugate(), x, num_particles=num_particles)
    cov = torch.eye(6) + torch.ones(6, 6)
    log_evidence = dist.MultivariateNormal(torch.zeros(6), cov).log_prob(x)
    bounds = bound(num_particles=num_particles).bound(terms)
    exactly(bounds.sum(), log_evidence)


def test_a_global_site_is_sampled_where_local_ones_have_a_closed_kl():
    x = torch.randn(NUM_ROWS)
    terms = log_terms(*hierarchical(), x, num_particles=3)
    assert list(terms.kl) == ["z"]
    closed = (terms.log_likelihood - terms.kl["z"]).mean(0) + terms.global_weight.mean() / NUM_ROWS
    exactly(ELBO(3, analytic_kl=True).bound(terms), closed)


def test_a_draw_of_a_global_site_is_one_of_all_rows():
    x = torch.randn(6)
    terms = log_terms(*hierarchical(), x, num_particles=5)
    together = terms.log_weight.sum(1) + terms.global_weight
    by_hand = together.logsumexp(0) - torch.log(torch.tensor(5.0))
    exactly(IWAE(5).bound(terms).sum(), by_hand)


@pytest.mark.parametrize("estimator", [IWAE(3), Renyi(0.5, 3)], ids=["IWAE", "Renyi"])
def test_k_sample_bounds_refuse_a_global_site_with_subsampled_data(estimator):
    terms = log_terms(*hierarchical(8), torch.randn(NUM_ROWS), num_particles=3)
    name = type(estimator).__name__
    with pytest.raises(ValueError, match=f"{name} needs all data at once .* got 1 row in 5"):
        estimator.bound(terms)
