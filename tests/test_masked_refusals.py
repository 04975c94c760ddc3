"""Masks that are refused."""

import pyro.distributions as dist
import pytest
import torch

from ppvae.distributions import BernoulliLikelihood, StandardNormal, StudentTLikelihood, masked
from ppvae.guides import MaskedGuide
from ppvae.models import VAE
from ppvae.networks import MLP

B, P, D = 6, 16, 2


@pytest.fixture
def x():
    return torch.rand(B, P).round()


@pytest.fixture
def mask():
    return torch.rand(B, P) < 0.6


@pytest.mark.parametrize("program", ["model", "guide"])
@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (lambda m: m[:, :1], ValueError, r"mask must have the shape of x, \(6, 16\); got \(6, 1\)"),
        (lambda m: m[:1], ValueError, r"mask must have the shape of x, \(6, 16\); got \(1, 16\)"),
        (lambda m: m[0], ValueError, r"mask must have the shape of x, \(6, 16\); got \(16,\)"),
        (lambda m: m.double(), TypeError, r"mask must be boolean, .*; got torch.float64"),
    ],
)
def test_a_mask_of_another_kind_is_refused(program, wrong, error, message, x, mask):
    model = VAE(MLP(D, [6], P), StandardNormal(D), BernoulliLikelihood())
    guide = MaskedGuide(MLP([P, P], [6], 2 * D))
    with pytest.raises(error, match=message):
        {"model": model, "guide": guide}[program](x, wrong(mask))


def test_a_likelihood_that_is_not_independent_over_values_is_refused(mask):
    joint = dist.MultivariateNormal(torch.zeros(B, P), torch.eye(P))
    with pytest.raises(TypeError, match="likelihood must be independent over values"):
        masked(joint, mask)


@pytest.mark.parametrize("width", [P, 3 * P + 1])
def test_a_decoder_of_another_width_than_a_student_t_needs_is_refused(width, x):
    with pytest.raises(ValueError, match=f"decoder must be 3 P wide .*; got {width}"):
        StudentTLikelihood()(torch.zeros(B, width))
