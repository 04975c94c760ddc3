"""What every test starts from: float64, seed 0, an empty parameter store, no display."""

import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from ppvae.arviz_bridge import arviz_version

# The first import of ArviZ 0.23 in a day may fail if two processes do it at once. This is read by
# the process that starts the others, before it starts them.
arviz_version()

os.environ["MPLBACKEND"] = "Agg"


@pytest.fixture(autouse=True)
def fixed_start() -> Iterator[None]:
    # Tests are small: on a busy machine a second thread only slows them down.
    torch.set_num_threads(1)
    dtype = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    pyro.set_rng_seed(0)
    pyro.clear_param_store()
    yield
    pyro.clear_param_store()
    torch.set_default_dtype(dtype)


class Yardstick(NamedTuple):
    """A linear-Gaussian pair on data of its own; guide(x) is exact, guide(x, shift) is not."""

    model: Callable
    guide: Callable
    x: Tensor
    log_evidence: Tensor
    precision: Tensor


@pytest.fixture
def linear_gaussian() -> Yardstick:
    from ppvae.models import LinearGaussian

    model = LinearGaussian(torch.randn(5, 2), bias=torch.randn(5), scale=0.7)
    x = torch.randn(3, 5) * 1.5

    def guide(x: Tensor, shift: Tensor | float = 0.0) -> Tensor:
        exact = model.posterior(x)
        posterior = dist.MultivariateNormal(exact.loc + shift, scale_tril=exact.scale_tril)
        with pyro.plate("data", len(x), dim=-1):
            return pyro.sample("z", posterior)

    with torch.no_grad():
        return Yardstick(
            model, guide, x, model.log_evidence(x), model.posterior(x).precision_matrix[0]
        )
