"""check: a guide that draws codes of another shape than the model's."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from programs import rows, standard_normal
from torch import nn

from ppvae import check
from ppvae.distributions import BernoulliLikelihood, StandardNormal
from ppvae.guides import GaussianGuide
from ppvae.models import VAE

X = (torch.linspace(0, 1, 20).reshape(5, 4) > 0.4).double()


def vae(width):
    return VAE(nn.Linear(width, 4), StandardNormal(width), BernoulliLikelihood())


def guide(width):
    return GaussianGuide(nn.Linear(4, 2 * width))


def test_codes_of_another_width_than_the_models():
    with pytest.raises(ValueError, match=r"site 'z' of the guide .*, \(3,\); got \(2,\)"):
        check(vae(3), guide(2), X).raise_if_wrong()
    assert check(vae(3), guide(3), X).problems == []


def test_a_code_of_one_coordinate_that_would_broadcast_against_the_prior():
    def model(x):
        with rows(x):
            z = pyro.sample("z", standard_normal(3))
            loc = z.sum(-1, keepdim=True).expand(*z.shape[:-1], 4)
            pyro.sample("x", dist.Normal(loc, 1.0).to_event(1), obs=x)

    with pytest.raises(ValueError, match=r"site 'z' of the guide .*, \(3,\); got \(1,\)"):
        check(model, guide(1), X).raise_if_wrong()


@pytest.mark.parametrize("role", ["model", "guide"])
def test_it_is_said_which_program_does_not_run(role):
    broken = vae(3), guide(3)
    for part in broken[role == "guide"].modules():
        if isinstance(part, nn.Linear):
            part.weight = nn.Parameter(torch.zeros(4, 7))
    with pytest.raises(ValueError, match=f"the {role} must run on a batch of the data; got: mat1"):
        check(*broken, X).raise_if_wrong()
