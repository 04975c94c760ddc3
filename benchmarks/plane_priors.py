"""Two p(z) on the plane that are not normal, with mean 0 and covariance I: a ring and clusters."""

import math
from typing import Any, ClassVar

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from ppvae.distributions import DiagonalMixture


class Ring(TorchDistribution):
    """p(z) proportional to exp(-((|z| - r) / t)^2 / 2), r^2 + 3 t^2 = 2, so that cov z = I."""

    arg_constraints: ClassVar = {}
    support = constraints.real_vector
    width = 0.2

    def __init__(self) -> None:
        super().__init__(torch.Size(), torch.Size([2]), validate_args=False)
        self.radius = math.sqrt(2 - 3 * self.width**2)
        # The integral over |z| of |z| times the bell; what lies beyond 0 is nothing.
        self.log_constant = math.log(2 * math.pi * self.radius * self.width) + 0.5 * math.log(
            2 * math.pi
        )

    def expand(self, batch_shape: Any, _instance: Any = None) -> "Ring":
        """The same: its batch broadcasts."""
        return self

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density, (...) nats."""
        return -0.5 * ((value.norm(dim=-1) - self.radius) / self.width) ** 2 - self.log_constant

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draws, (N, 2), of radii whose density is |z| times the bell, by rejection."""
        (number,) = sample_shape
        most = self.radius + 6 * self.width
        radius = self.radius + self.width * torch.randn(4 * number)
        radius = radius[torch.rand(4 * number) * most < radius][:number]
        angle = 2 * math.pi * torch.rand(number)
        return radius.unsqueeze(-1) * torch.stack([angle.cos(), angle.sin()], -1)


def clusters() -> DiagonalMixture:
    """Weights 0.35 and 0.15 on either axis, scale 0.25, mean 0, covariance I."""
    scale = 0.25
    weights = torch.tensor([0.35, 0.35, 0.15, 0.15])
    one, other = (math.sqrt((1 - scale**2) / (2 * w)) for w in (0.35, 0.15))
    loc = torch.tensor([[one, 0.0], [-one, 0.0], [0.0, other], [0.0, -other]])
    return DiagonalMixture(weights.log(), loc, torch.full((4, 2), scale))
