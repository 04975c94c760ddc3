"""What cannot be filled in."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from programs import rows

from ppvae import impute
from ppvae.distributions import masked
from ppvae.guides import GaussianGuide
from ppvae.models import LinearGaussian
from ppvae.networks import MLP

P, D = 5, 2


@pytest.fixture
def model():
    return LinearGaussian(torch.randn(P, D), bias=torch.randn(P), scale=0.7)


@pytest.fixture
def x():
    return torch.randn(4, P)


@pytest.fixture
def mask():
    return torch.rand(4, P) < 0.6


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"num_draws": 0}, ValueError, "num_draws must be at least 1; got 0"),
        ({"num_samples": 0}, ValueError, "num_samples must be at least 1; got 0"),
        ({"mask": None}, ValueError, r"mask must be given, or be a field .*; got \['x'\]"),
        (
            {"mask": torch.ones(4, 1).bool()},
            ValueError,
            r"shape of x, \(N, P\), \(4, 5\); got \(4, 1",
        ),
        ({"mask": torch.ones(4, P)}, TypeError, "mask must be boolean, true where x"),
        ({"x": None}, ValueError, "x must be given where run is no run with data of its own"),
    ],
)
def test_what_cannot_be_filled_is_refused(change, error, message, model, x, mask):
    given = {"x": x, "mask": mask} | change
    with pytest.raises(error, match=message):
        impute((model, model.exact_guide), **given)


def test_a_model_that_cannot_tell_a_hole_is_refused(model, x, mask):
    with pytest.raises(
        ValueError, match=r"model must ask for the field mask, .*; it asks for \['x'"
    ):
        impute((lambda x: model(x), model.exact_guide), x, mask)


def test_a_model_that_scores_what_is_hidden_is_refused(x, mask):
    guide = GaussianGuide(MLP(P, [], 2 * D))

    def model(x, mask):
        with rows(x):
            z = pyro.sample("z", dist.Normal(torch.zeros(D), 1.0).to_event(1))
            likelihood = dist.Normal(z.sum(-1, keepdim=True).expand(*z.shape[:-1], P), 1.0)
            pyro.sample("x", masked(likelihood.to_event(1), ~mask), obs=x)

    with pytest.raises(ValueError, match="model must score what is observed alone"):
        impute((model, guide), x, mask, num_draws=5)
