"""Guides against their formulas."""

import math

import pyro
import pytest
import torch
from pyro import poutine
from pyro.infer import Trace_ELBO, TraceMeanField_ELBO

from ppvae.distributions import BernoulliLikelihood, FlatPrior, StandardNormal
from ppvae.guides import (
    AffineGuide,
    BernoulliGuide,
    CategoricalGuide,
    DeltaGuide,
    GaussianGuide,
    LayeredGaussianGuide,
)
from ppvae.models import VAE
from ppvae.networks import MLP


@pytest.fixture
def x():
    return torch.rand(4, 5).round()


def log_posterior(guide, x, num_particles=7):
    particles = pyro.plate("particles", num_particles, dim=-2)
    trace = poutine.trace(particles(guide)).get_trace(x)
    trace.compute_log_prob()
    return trace.nodes["z"]["value"], trace.nodes["z"]["log_prob"]


def test_the_gaussian_guide_scores_its_own_draws(x):
    guide = GaussianGuide(MLP(5, [6], 4))
    loc, log_scale = guide.encoder(x).split(2, dim=-1)
    z, log_prob = log_posterior(guide, x)
    noise = (z - loc) * (-log_scale).exp()
    by_hand = (-0.5 * noise.square() - log_scale).sum(-1) - torch.log(torch.tensor(2 * torch.pi))
    torch.testing.assert_close(log_prob, by_hand, rtol=0, atol=1e-12)


def test_the_gaussian_guide_draws_noise_of_its_own_for_each_particle_and_row(x):
    z, _ = log_posterior(GaussianGuide(MLP(5, [6], 4)), x[:1].expand(4, 5))
    assert len(z.reshape(28, 2).unique(dim=0)) == 28


def test_the_gaussian_guide_has_the_closed_kl_to_a_standard_normal(x):
    guide = GaussianGuide(MLP(5, [6], 4))
    model = VAE(MLP(2, [6], 5), StandardNormal(2), BernoulliLikelihood())
    loc, log_scale = guide.encoder(x).split(2, dim=-1)
    kl = 0.5 * (loc.square() + (2 * log_scale).exp() - 1 - 2 * log_scale).sum()
    pyro.set_rng_seed(1)
    loss = TraceMeanField_ELBO().loss(model, guide, x)
    pyro.set_rng_seed(1)
    trace = poutine.trace(poutine.replay(model, poutine.trace(guide).get_trace(x))).get_trace(x)
    reconstruction = trace.nodes["x"]["fn"].log_prob(x).sum()
    torch.testing.assert_close(loss, (kl - reconstruction).item())


def test_an_encoder_of_odd_width_is_refused(x):
    with pytest.raises(ValueError, match=r"encoder must have even width; got 5\."):
        GaussianGuide(MLP(5, [], 5))(x)


def test_the_delta_guide_returns_the_code_for_every_particle(x):
    guide = DeltaGuide(MLP(5, [6], 2))
    z, log_prob = log_posterior(guide, x)
    assert torch.equal(z, guide.encoder(x).expand(7, 4, 2))
    assert torch.equal(log_prob, torch.zeros(7, 4))


def autoencoder():
    model = VAE(MLP(2, [6], 5), FlatPrior(2), BernoulliLikelihood())
    return model, DeltaGuide(MLP(5, [6], 2))


@pytest.mark.parametrize("loss", [Trace_ELBO, TraceMeanField_ELBO])
def test_a_flat_prior_and_a_delta_guide_are_a_plain_autoencoder(x, loss):
    model, guide = autoencoder()
    parameters = [*model.parameters(), *guide.parameters()]
    logits = model.decoder(guide.encoder(x))
    cross_entropy = torch.nn.functional.binary_cross_entropy_with_logits
    by_hand = cross_entropy(logits, x, reduction="sum")
    gradients = torch.autograd.grad(by_hand, parameters)
    surrogate = loss().differentiable_loss(model, guide, x)
    torch.testing.assert_close(surrogate, by_hand, rtol=0, atol=1e-12)
    for gradient, expected in zip(
        torch.autograd.grad(surrogate, parameters), gradients, strict=True
    ):
        torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-12)


def logged(trace, name):
    trace.compute_log_prob()
    return trace.nodes[name]["value"], trace.nodes[name]["log_prob"]


def test_the_affine_guide_scores_its_own_draws(x):
    guide = AffineGuide(torch.randn(2, 5), torch.randn(2), 0.3)
    z, log_prob = log_posterior(guide, x)
    noise = (z - (x @ guide.slope.T + guide.offset)) / 0.3
    by_hand = -0.5 * noise.square().sum(-1) - 2 * math.log(0.3) - math.log(2 * math.pi)
    torch.testing.assert_close(log_prob, by_hand, rtol=0, atol=1e-12)


def test_the_bernoulli_guide_scores_its_own_draws(x):
    guide = BernoulliGuide(MLP(5, [6], 3))
    probs = torch.sigmoid(guide.encoder(x))
    z, log_prob = log_posterior(guide, x)
    by_hand = (z * probs.log() + (1 - z) * (1 - probs).log()).sum(-1)
    torch.testing.assert_close(log_prob, by_hand, rtol=0, atol=1e-12)


@pytest.mark.parametrize("enumerated", [False, True])
def test_the_categorical_guide_marks_its_label_only_if_asked(x, enumerated):
    guide = CategoricalGuide(MLP(5, [6], 3), enumerated)
    trace = poutine.trace(guide).get_trace(x)
    y, log_prob = logged(trace, "y")
    by_hand = guide.encoder(x).log_softmax(-1).gather(1, y[:, None])[:, 0]
    torch.testing.assert_close(log_prob, by_hand, rtol=0, atol=1e-12)
    assert ("enumerate" in trace.nodes["y"]["infer"]) is enumerated


def test_the_layered_guide_draws_the_upper_code_given_the_lower_one(x):
    guide = LayeredGaussianGuide([MLP(5, [6], 4), MLP(2, [6], 2)])
    trace = poutine.trace(guide).get_trace(x)
    z1, _ = logged(trace, "z1")
    z2, log_prob = logged(trace, "z2")
    loc, log_scale = guide.encoders[1](z1).split(1, dim=-1)
    noise = (z2 - loc) * (-log_scale).exp()
    by_hand = (-0.5 * noise.square() - log_scale)[:, 0] - 0.5 * math.log(2 * math.pi)
    torch.testing.assert_close(log_prob, by_hand, rtol=0, atol=1e-12)
