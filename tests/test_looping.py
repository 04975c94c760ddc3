"""Pairs that cannot be vectorized are looped, and trying that out leaves nothing behind."""

import random
import warnings
from functools import partial

import numpy
import pyro
import pyro.distributions as dist
import pytest
import torch
from programs import ENUMERATED, binary_rows, binary_vae, linear_pair, rows, standard_normal
from pyro import poutine
from torch import nn
from torch.testing import assert_close

from ppvae import IWAE, log_terms

exactly = partial(assert_close, rtol=0, atol=1e-12)
looped = pytest.mark.filterwarnings("ignore:particles are drawn one by one")
WEIGHT = torch.linspace(-1.0, 1.0, 8).reshape(4, 2).double()


def model_with(decoder):
    def model(x):
        with rows(x):
            z = pyro.sample("z", standard_normal(2))
            pyro.sample("x", dist.Normal(decoder(z), 1.0).to_event(1), obs=x)

    return model


def flat_only(z):
    """A linear decoder for (B, D) and nothing wider, as many a hand-written network."""
    return z.reshape(3, 2) @ WEIGHT.T


def linear(z):
    return z @ WEIGHT.T


def asserting(z):
    if z.dim() != 2:
        raise AssertionError
    return z @ WEIGHT.T


def guide(x):
    with rows(x):
        pyro.sample("z", dist.Normal(x[:, :2], 0.5).to_event(1))


@pytest.mark.parametrize("decoder", [flat_only, asserting])
def test_a_pair_that_draws_one_at_a_time_says_so_once(decoder):
    model, x = model_with(decoder), torch.randn(3, 4)
    reason = "one by one, since the pair cannot draw two at once: (shape .* invalid|AssertionError)"
    with pytest.warns(UserWarning, match=reason):
        log_terms(model, guide, x, num_particles=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        log_terms(model, guide, x, num_particles=3)


@looped
@pytest.mark.parametrize("decoder", [flat_only, linear])
def test_looped_terms_are_the_densities_that_vectorized_ones_are(decoder):
    pair, x = linear_pair(offset=0.4), torch.randn(3, 4)
    terms = log_terms(model_with(decoder), pair.guide, x, num_particles=5)
    z = terms.values["z"]
    assert z.shape == (5, 3, 2)
    exactly(terms.log_prior, standard_normal(2).log_prob(z))
    exactly(terms.log_likelihood, dist.Normal(linear(z), 1.0).log_prob(x).sum(-1))
    codes = dist.Normal(x @ pair.slope.T + pair.shift, pair.log_scale.exp())
    exactly(terms.log_posterior, codes.log_prob(z).sum(-1))
    exactly(terms.kl["z"][0], terms.kl["z"].mean(0))


@looped
@pytest.mark.parametrize("decoder", [flat_only, linear])
def test_looped_terms_have_the_gradient_that_vectorized_ones_have(decoder):
    pair, x = linear_pair(offset=0.4), torch.randn(3, 4)
    terms = log_terms(model_with(decoder), pair.guide, x, num_particles=5)
    z = terms.values["z"]
    codes = dist.Normal(x @ pair.slope.T + pair.shift, pair.log_scale.exp())
    by_hand = standard_normal(2).log_prob(z) + dist.Normal(linear(z), 1.0).log_prob(x).sum(-1)
    by_hand = (by_hand - codes.log_prob(z).sum(-1)).exp().mean(0).log()
    leaves = (pair.slope, pair.shift, pair.log_scale)
    ours = torch.autograd.grad(IWAE(5).bound(terms).sum(), leaves, retain_graph=True)
    for gradient, expected in zip(ours, torch.autograd.grad(by_hand.sum(), leaves), strict=True):
        exactly(gradient, expected)


@looped
def test_looped_pairs_sum_labels_and_rescore_as_others_do():
    def labelled(decoder):
        def model(x):
            with rows(x):
                y = pyro.sample("y", dist.Categorical(torch.ones(2)))
                z = pyro.sample("z", standard_normal(2))
                loc = decoder(z) + y.unsqueeze(-1)
                pyro.sample("x", dist.Normal(loc, 1.0).to_event(1), obs=x)

        return model

    def guide(x):
        with rows(x):
            pyro.sample("y", dist.Categorical(logits=x[:, :2]), infer=ENUMERATED)
            pyro.sample("z", dist.Normal(x[:, :2], 0.5).to_event(1))

    x = torch.randn(3, 4, requires_grad=True)
    terms = log_terms(labelled(flat_only), guide, x, num_particles=4)
    assert terms.log_weight.shape == (2, 4, 3)
    z, y = terms.values["z"], torch.arange(2.0)[:, None, None, None]
    likelihood = dist.Normal(linear(z) + y, 1.0).log_prob(x).sum(-1)
    exactly(terms.log_likelihood, likelihood)
    assert terms.fixed is not terms
    exactly(terms.fixed.log_weight, terms.log_weight)


@pytest.mark.parametrize("num_particles", [1, 3])
def test_the_first_run_draws_what_the_second_would(num_particles):
    (model, guide), x = binary_vae(), binary_rows()
    draws = []
    for _ in range(2):
        pyro.set_rng_seed(5)
        draws.append(log_terms(model, guide, x, num_particles=num_particles).values["z"])
    assert torch.equal(*draws)


def test_trying_out_two_draws_leaves_the_generators_alone():
    (model, guide), x = binary_vae(), binary_rows()

    def drawing(x):
        random.random(), numpy.random.rand()
        guide(x)

    pyro.set_rng_seed(5)
    with pyro.plate("particles", 3, dim=-2):
        drawn = poutine.trace(drawing).get_trace(x).nodes["z"]["value"]
    after = torch.rand(()), random.random(), numpy.random.rand()
    pyro.set_rng_seed(5)
    terms = log_terms(model, drawing, x, num_particles=3)
    assert torch.equal(terms.values["z"], drawn)
    assert (torch.rand(()), random.random(), numpy.random.rand()) == after


def test_trying_out_leaves_running_statistics_alone():
    norm = nn.BatchNorm1d(4)
    x = torch.randn(3, 4) + 2

    def guide(x):
        with rows(x):
            pyro.sample("z", dist.Normal(norm(x)[:, :2], 0.5).to_event(1))

    log_terms(model_with(linear), guide, x, num_particles=3)
    # Once, by the run itself: x.mean, weighed by the momentum of 0.1.
    exactly(norm.running_mean, 0.1 * x.mean(0))
    assert norm.num_batches_tracked == 1


@looped
def test_looped_draws_differ():
    terms = log_terms(model_with(flat_only), guide, torch.randn(3, 4), num_particles=2)
    assert (terms.values["z"][0] != terms.values["z"][1]).all()
