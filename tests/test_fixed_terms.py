"""`terms.fixed` has the values of the terms without the path, `terms.sticking` with it alone."""

from functools import partial

import pyro
import pyro.distributions as dist
import pytest
import torch
from programs import (
    ENUMERATED,
    Refuses,
    binary_rows,
    labelled_pair,
    linear_pair,
    rows,
    standard_normal,
)
from pyro.distributions.transforms import Planar
from torch import nn
from torch.testing import assert_close

from ppvae import log_terms
from ppvae.distributions import BernoulliLikelihood, StandardNormal
from ppvae.guides import GaussianGuide, LayeredGaussianGuide
from ppvae.models import VAE
from ppvae.networks import MLP

exactly = partial(assert_close, rtol=0, atol=1e-12)
looped = pytest.mark.filterwarnings("ignore:particles are drawn one by one")


def noisy_pair():
    """A pair with dropout in both networks and batch norm in the encoder, in training mode."""
    decoder = nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.5), nn.Linear(8, 6))
    encoder = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 4))
    return VAE(decoder, StandardNormal(2), BernoulliLikelihood()), GaussianGuide(encoder)


def looping_pair():
    """The same with a decoder that takes one draw at a time."""
    model, guide = noisy_pair()
    model.decoder = nn.Sequential(Refuses(torch.randn(6, 2)), nn.Dropout(0.5))
    return model, guide


def layered_pair():
    networks = [MLP(6, [4], 4), MLP(2, [4], 4)]

    def model(x):
        with rows(x):
            z1 = pyro.sample("z1", standard_normal(2))
            z2 = pyro.sample("z2", dist.Normal(z1, 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z1.sum(-1) + z2.sum(-1), 1.0), obs=x[:, 0])

    return model, LayeredGaussianGuide(networks)


def labels():
    pair = labelled_pair(data_dim=6)
    return pair.model, pair.guide


def labels_of_draws():
    """A label whose probabilities depend on a code, and a code of all data."""

    def model(x):
        scale = pyro.sample("scale", dist.LogNormal(torch.zeros(()), 1.0))
        with rows(x):
            z = pyro.sample("z", standard_normal(2))
            y = pyro.sample("y", dist.Categorical(torch.ones(3)))
            pyro.sample("x", dist.Normal(z.sum(-1) + y, scale), obs=x[:, 0])

    def guide(x):
        loc = pyro.param("loc", lambda: torch.randn(()))
        pyro.sample("scale", dist.LogNormal(loc, 0.3))
        with rows(x):
            z = pyro.sample("z", dist.Normal(x[:, :2], 0.5).to_event(1))
            logits = torch.stack([z.sum(-1), x[:, 0] + 0 * z[..., 0], z[..., 1]], -1)
            pyro.sample("y", dist.Categorical(logits=logits), infer=ENUMERATED)

    return model, guide


PAIRS = {
    "dropout": noisy_pair,
    "looped": looping_pair,
    "layered": layered_pair,
    "labels": labels,
    "labels-of-draws": labels_of_draws,
}
every_pair = pytest.mark.parametrize("make", PAIRS.values(), ids=PAIRS)


def by_site(terms):
    """Every log-density of the terms, by kind and site."""
    kinds = ("likelihood", "prior", "posterior", "global_prior", "global_posterior")
    return {kind: dict(getattr(terms, kind)) for kind in kinds}


@looped
@every_pair
@pytest.mark.parametrize("num_particles", [1, 5])
def test_fixed_and_sticking_terms_have_the_values_of_the_terms(make, num_particles):
    model, guide = make()
    for _ in range(2):  # the first run of a pair is another one: its parameters come to exist
        terms = log_terms(model, guide, binary_rows(), num_particles=num_particles)
        exactly(by_site(terms.fixed), by_site(terms))
        exactly(by_site(terms.sticking), by_site(terms))
        exactly(terms.fixed.values, terms.values)
        exactly(terms.fixed.marginal, terms.marginal)


def test_a_new_pair_with_dropout_and_drawn_parameters_is_fixed_at_its_own_draws():
    dropout = nn.Dropout(0.5)

    def model(x):
        with rows(x):
            z = pyro.sample("z", standard_normal(6))
            pyro.sample("x", dist.Normal(z, 1.0).to_event(1), obs=x)

    def guide(x):
        slope = pyro.param("slope", lambda: torch.randn(6))
        with rows(x):
            pyro.sample("z", dist.Normal(dropout(x * slope), 1.0).to_event(1))

    terms = log_terms(model, guide, torch.randn(4, 6), num_particles=3)
    exactly(by_site(terms.fixed), by_site(terms))


@looped
@pytest.mark.parametrize("make", [noisy_pair, looping_pair])
def test_running_statistics_move_once(make):
    model, guide = make()
    x = binary_rows()
    log_terms(model, guide, x, num_particles=3)
    moved = []
    for fix in (False, True):
        guide.encoder[1].reset_running_stats()
        terms = log_terms(model, guide, x, num_particles=3)
        if fix:
            _ = terms.fixed, terms.sticking
        moved.append([buffer.clone() for buffer in guide.buffers()])
    exactly(moved[1], moved[0])
    assert guide.encoder[1].running_mean.any()


@looped
@every_pair
def test_the_generators_go_on_as_if_nothing_were_fixed(make):
    model, guide = make()
    log_terms(model, guide, binary_rows(), num_particles=3)
    after = []
    for fix in (False, True):
        pyro.set_rng_seed(5)
        terms = log_terms(model, guide, torch.ones(5, 6), num_particles=3)
        if fix:
            _ = terms.fixed, terms.sticking
        after.append(torch.rand(3))
    exactly(after[1], after[0])


@looped
@pytest.mark.parametrize("make", [noisy_pair, looping_pair, layered_pair])
def test_a_fixed_joint_density_has_no_gradient_in_the_guide(make):
    model, guide = make()
    terms = log_terms(model, guide, binary_rows(), num_particles=3)
    weights = list(guide.parameters())
    path = torch.autograd.grad(terms.log_joint.sum(), weights, retain_graph=True)
    assert any(gradient.any() for gradient in path)
    if terms.fixed.log_joint.requires_grad:
        direct = torch.autograd.grad(terms.fixed.log_joint.sum(), weights, allow_unused=True)
        assert all(gradient is None for gradient in direct)


def test_the_fixed_upper_layer_has_no_gradient_in_the_lower_network():
    model, guide = layered_pair()
    terms = log_terms(model, guide, binary_rows(), num_particles=3)
    lower = list(guide.encoders[0].parameters())
    assert torch.autograd.grad(terms.posterior["z2"].sum(), lower, retain_graph=True)[0].any()
    fixed = torch.autograd.grad(terms.fixed.posterior["z2"].sum(), lower, allow_unused=True)
    assert fixed == (None,) * len(lower)


def test_fixed_terms_have_the_score_by_hand():
    pair, x = linear_pair(offset=0.4), torch.randn(3, 4)
    terms = log_terms(pair.model, pair.guide, x, num_particles=5)
    (score,) = torch.autograd.grad(terms.fixed.log_posterior.sum(), pair.shift)
    away = terms.values["z"] - x @ pair.slope.T - pair.shift
    exactly(score, (away / pair.log_scale.exp() ** 2).sum((0, 1)).detach())


def test_at_the_exact_posterior_the_path_gradient_is_zero():
    pair, x = linear_pair(offset=0.0), torch.randn(3, 4)
    terms = log_terms(pair.model, pair.guide, x, num_particles=5)
    leaves = [pair.slope, pair.shift, pair.log_scale]
    path = torch.autograd.grad(terms.sticking.log_weight.sum(), leaves, retain_graph=True)
    assert all(gradient.abs().max() < 1e-12 for gradient in path)
    assert torch.autograd.grad(terms.log_weight.sum(), pair.log_scale)[0].abs().min() > 1e-3


def test_enumerated_labels_keep_their_direct_gradient():
    pair, x = labelled_pair(), torch.randn(3, 4)
    pair.logits.requires_grad_()
    terms = log_terms(pair.model, pair.guide, x)
    (direct,) = torch.autograd.grad(terms.sticking.posterior["y"].sum(), pair.logits)
    by_hand = torch.autograd.grad(pair.log_labels(x).sum(), pair.logits)[0]
    exactly(direct, by_hand)


def test_a_flow_that_cannot_be_inverted_cannot_be_fixed():
    flow = Planar(2)

    def guide(x):
        with rows(x):
            base = dist.Normal(x[:, :2], 0.5).to_event(1)
            pyro.sample("z", dist.TransformedDistribution(base, [flow]))

    terms = log_terms(linear_pair().model, guide, torch.randn(3, 4), num_particles=2)
    with pytest.raises(ValueError, match=r"the guide must have a density at any given draw; got"):
        _ = terms.fixed


@looped
def test_draws_taken_one_by_one_cannot_be_fixed_in_a_pair_with_dropout():
    model, guide = noisy_pair()
    terms = log_terms(model, guide, binary_rows(), num_particles=2).one_by_one()
    with pytest.raises(ValueError, match="one by one cannot be held fixed in a pair with noise"):
        _ = terms.fixed
