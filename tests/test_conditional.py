"""log p(x_hidden | x_observed) against dense Gaussians."""

import numpy as np
import pytest
import torch

from ppvae.distributions import BernoulliLikelihood, StandardNormal
from ppvae.evaluate import conditional_evidence
from ppvae.guides import GaussianGuide
from ppvae.models import VAE, LinearGaussian
from ppvae.networks import MLP


@pytest.fixture
def model():
    return LinearGaussian(torch.randn(5, 2), bias=torch.randn(5), scale=0.7)


@pytest.fixture
def rows():
    return torch.randn(6, 5), torch.rand(6, 5) < 0.5


def test_the_exact_guide_gives_the_conditional_density_without_error(model, rows):
    x, mask = rows
    found = conditional_evidence((model, model.exact_guide), x, mask, num_particles=3)
    exact = (model.log_evidence(x) - model.log_evidence(x, mask)).detach()
    np.testing.assert_allclose(found["conditional"], exact, atol=1e-10)
    np.testing.assert_allclose(found["conditional_se"], 0.0, atol=1e-10)
    np.testing.assert_allclose(found["conditional_mean"], exact.mean(), atol=1e-10)


def test_another_guide_comes_near_and_says_how_near(model, rows):
    x, mask = rows
    near = GaussianGuide(MLP(5, [], 4))
    with torch.no_grad():
        near.encoder.layers[0].weight.mul_(0.1)
    pair = (model, near)
    found = conditional_evidence(pair, x, mask, guide=model.exact_guide, num_particles=20_000)
    exact = (model.log_evidence(x) - model.log_evidence(x, mask)).detach()
    np.testing.assert_allclose(found["whole"], model.log_evidence(x).detach(), atol=1e-10)
    # Each of 6 rows within 5 standard errors: a false alarm in 300,000 runs.
    assert (abs(found["conditional"] - exact.numpy()) < 5 * found["conditional_se"] + 1e-10).all()
    assert (found["observed_ess"] < 20_000).any()


def test_what_lies_in_a_hole_counts_in_the_whole_alone(model, rows):
    x, mask = rows
    pair = (model, model.exact_guide)
    found = conditional_evidence(pair, x, mask, num_particles=2)
    moved = conditional_evidence(pair, torch.where(mask, x, x + 1), mask, num_particles=2)
    np.testing.assert_allclose(found["observed"], moved["observed"], atol=1e-10)
    hidden = (~mask).any(1).numpy()
    assert (abs(found["conditional"] - moved["conditional"]).values > 1e-6)[hidden].all()


def test_the_probabilities_of_all_that_may_lie_in_a_hole_add_up_to_one():
    torch.manual_seed(3)
    vae = VAE(MLP(1, [4], 4), StandardNormal(1), BernoulliLikelihood())
    guide = GaussianGuide(MLP(4, [4], 2))
    bits = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 2)
    x = torch.cat([torch.tensor([[1.0, 0.0]]).expand(4, 2), bits], 1)
    mask = torch.tensor([True, True, False, False]).expand(4, 4)
    found = conditional_evidence((vae, guide), x, mask, num_particles=20_000)
    probability = np.exp(found["conditional"].values)
    error = np.sqrt(np.square(probability * found["conditional_se"].values).sum())
    assert abs(probability.sum() - 1) < 5 * error


def test_a_model_that_does_not_ask_for_a_mask_is_refused(model, rows):
    x, mask = rows
    with pytest.raises(ValueError, match="model must ask for the field mask"):
        conditional_evidence((lambda x: model(x), model.exact_guide), x, mask)
    with pytest.raises(ValueError, match=r"mask must have the shape of x, \(6, 5\); got \(6, 1\)"):
        conditional_evidence((model, model.exact_guide), x, mask[:, :1])
