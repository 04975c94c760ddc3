"""Models: the VAE against its formula, the linear-Gaussian model against brute force."""

import itertools
import math

import numpy as np
import pyro
import pytest
import scipy.stats
import torch
from pyro import poutine
from torch.distributions import kl_divergence

from ppvae.distributions import BernoulliLikelihood, GaussianLikelihood, StandardNormal
from ppvae.models import VAE, LinearGaussian
from ppvae.networks import MLP

EXACT = {"rtol": 0, "atol": 1e-10}
GRID = torch.linspace(-14, 14, 4001, dtype=torch.float64)


def log_joint(model, x, z):
    """Log p(x, z), (..., B), at codes z, (..., B, D)."""
    trace = poutine.trace(poutine.condition(model, {"z": z})).get_trace(x)
    trace.compute_log_prob()
    return trace.nodes["z"]["log_prob"] + trace.nodes["x"]["log_prob"]


def quadrature(model, x):
    """Log p(x), (B,), for one-dimensional codes, by the trapezoid rule."""
    z = GRID[:, None, None].expand(-1, len(x), 1)
    return log_joint(model, x, z).logsumexp(0) + (GRID[1] - GRID[0]).log()


@pytest.fixture
def model():
    return LinearGaussian(torch.randn(5, 2), bias=torch.randn(5), scale=0.7)


@pytest.fixture
def x():
    return torch.randn(4, 5) * 1.5


def bernoulli_vae(data_dim=5, latent_dim=2):
    decoder = MLP(latent_dim, [6], data_dim)
    return VAE(decoder, StandardNormal(latent_dim), BernoulliLikelihood())


def test_the_vae_scores_prior_and_likelihood():
    model, x, z = bernoulli_vae(), torch.rand(4, 5).round(), torch.randn(7, 4, 2)
    probs = torch.sigmoid(model.decoder(z))
    likelihood = (x * probs.log() + (1 - x) * (1 - probs).log()).sum(-1)
    prior = -0.5 * z.square().sum(-1) - math.log(2 * math.pi)
    torch.testing.assert_close(log_joint(model, x, z), prior + likelihood, **EXACT)


def test_the_vae_gives_all_binary_images_probability_one():
    images = torch.tensor(list(itertools.product([0.0, 1.0], repeat=3)))
    log_evidence = quadrature(bernoulli_vae(3, 1), images)
    torch.testing.assert_close(log_evidence.logsumexp(0), torch.zeros(()), **EXACT)


def test_the_vae_with_a_linear_decoder_is_the_linear_gaussian_model(model, x):
    vae = VAE(MLP(2, [], 5), StandardNormal(2), GaussianLikelihood(0.7))
    weight, bias = vae.decoder.parameters()
    weight.data, bias.data = model.weight.data, model.bias.data
    z = torch.randn(7, 4, 2)
    torch.testing.assert_close(log_joint(vae, x, z), log_joint(model, x, z), **EXACT)


def test_the_vae_returns_the_parameters_of_the_likelihood():
    model, x, z = bernoulli_vae(), torch.rand(4, 5).round(), torch.randn(7, 4, 2)
    params = poutine.condition(model, {"z": z})(x)
    assert torch.equal(params, model.decoder(z))


@pytest.mark.parametrize("width", [1, 4])
def test_the_vae_refuses_a_decoder_of_another_width(width):
    model = VAE(MLP(2, [], width), StandardNormal(2), BernoulliLikelihood())
    with pytest.raises(ValueError, match=rf"decoder must be as wide as x, 5; got {width}\."):
        model(torch.zeros(4, 5))


def test_the_vae_refuses_images_that_are_not_flat():
    message = r"x must be 2-dimensional, \(B, P\); got shape \(1, 28, 28\)\. Flatten images first\."
    with pytest.raises(ValueError, match=message):
        bernoulli_vae(784)(torch.zeros(1, 28, 28))


def test_log_evidence_is_the_dense_gaussian(model, x):
    weight, bias = model.weight.detach().numpy(), model.bias.detach().numpy()
    dense = scipy.stats.multivariate_normal(bias, weight @ weight.T + 0.7**2 * np.eye(5))
    torch.testing.assert_close(
        model.log_evidence(x).detach(), torch.from_numpy(dense.logpdf(x.numpy())), **EXACT
    )


def test_log_evidence_is_the_integral_over_codes(x):
    model = LinearGaussian(torch.randn(5, 1), bias=torch.randn(5), scale=0.7)
    torch.testing.assert_close(model.log_evidence(x), quadrature(model, x), **EXACT)


def test_bayes_rule_holds_at_every_code(model, x):
    z = torch.randn(7, 4, 2)
    log_evidence = log_joint(model, x, z) - model.posterior(x).log_prob(z)
    torch.testing.assert_close(log_evidence, model.log_evidence(x).expand(7, 4), **EXACT)


def test_log_evidence_has_the_gradient_of_the_dense_gaussian(model, x):
    model.log_evidence(x).sum().backward()
    covariance = model.weight @ model.weight.T + 0.49 * torch.eye(5)
    by_hand = torch.linalg.solve(covariance, (x - model.bias).T).sum(1)
    torch.testing.assert_close(model.bias.grad, by_hand.detach(), **EXACT)


def test_the_mean_field_gap_is_the_kl_to_the_posterior(model, x):
    nearest, exact = model.mean_field_posterior(x), model.posterior(x)
    gap = model.mean_field_gap().expand(4)
    torch.testing.assert_close(gap, kl_divergence(nearest, exact), **EXACT)


def test_no_diagonal_gaussian_is_nearer_than_the_mean_field_posterior(model, x):
    nearest, exact = model.mean_field_posterior(x).base_dist, model.posterior(x)
    loc = nearest.loc.detach().requires_grad_()
    log_scale = nearest.scale.detach().log().requires_grad_()
    q = pyro.distributions.Normal(loc, log_scale.exp()).to_event(1)
    slopes = torch.autograd.grad(kl_divergence(q, exact).sum(), [loc, log_scale])
    for slope in slopes:
        torch.testing.assert_close(slope, torch.zeros_like(slope), **EXACT)


def test_the_mean_field_gap_vanishes_for_orthogonal_columns():
    weight = torch.linalg.qr(torch.randn(5, 2)).Q * torch.tensor([2.0, 3.0])
    torch.testing.assert_close(LinearGaussian(weight).mean_field_gap(), torch.zeros(()), **EXACT)


def test_the_exact_guide_draws_from_the_posterior(model, x):
    rows = x[:1].expand(20_000, 5)
    z, exact = model.exact_guide(rows).detach(), model.posterior(x)
    error = z.mean(0) - exact.mean[0]
    assert (error.abs() < 5 * exact.stddev[0] / 20_000**0.5).all()
    centred = z - exact.mean[0]
    products = centred[:, 0] * centred[:, 1]
    error = products.mean() - exact.covariance_matrix[0, 0, 1]
    assert error.abs() < 5 * products.std() / 20_000**0.5


def test_data_drawn_from_the_model_has_its_covariance(model):
    x = poutine.trace(poutine.uncondition(model)).get_trace(torch.zeros(20_000, 5))
    products = (x.nodes["x"]["value"] - model.bias)[:, :2].prod(-1)
    error = products.mean() - model.weight[0] @ model.weight[1]
    assert error.abs() < 5 * products.std() / 20_000**0.5


def test_a_random_model_is_a_function_of_its_generator():
    first, second = (
        LinearGaussian.random(5, 2, generator=torch.Generator().manual_seed(3)) for _ in range(2)
    )
    assert torch.equal(first.weight, second.weight)


def test_a_random_model_has_data_of_variance_two():
    weight = LinearGaussian.random(20_000, 4).weight.detach()
    signal = weight.square().sum(1)
    assert (signal.mean() - 1).abs() < 5 * signal.std() / 20_000**0.5


def test_the_model_keeps_copies_that_pyro_can_train():
    weight = torch.randn(2, 5).T
    model = LinearGaussian(weight)
    assert model.weight.is_contiguous()
    assert model.weight.data_ptr() != weight.data_ptr()


def test_float32_agrees_with_float64(model, x):
    exact = model.log_evidence(x)
    single = model.float().log_evidence(x.float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), exact, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "build, message",
    [
        (lambda: LinearGaussian(torch.ones(5)), r"weight must be \(P, D\), .*; got shape \(5,\)\."),
        (lambda: LinearGaussian(torch.ones(5, 0)), r"D at least 1; got shape \(5, 0\)\."),
        (
            lambda: LinearGaussian(torch.ones(5, 2), bias=torch.ones(1)),
            r"bias must be as long as weight, 5; got shape \(1,\)\.",
        ),
        (lambda: LinearGaussian(torch.ones(5, 2), scale=0.0), r"scale must be positive .*; got 0"),
        (lambda: LinearGaussian(torch.ones(5, 2), scale=math.nan), r"must be .*; got nan\."),
    ],
)
def test_a_wrong_linear_gaussian_is_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize("method", ["forward", "log_evidence", "posterior", "exact_guide"])
def test_data_that_would_broadcast_are_refused(model, method):
    with pytest.raises(ValueError, match=r"x must be \(B, 5\); got shape \(4, 1\)\."):
        getattr(model, method)(torch.zeros(4, 1))
