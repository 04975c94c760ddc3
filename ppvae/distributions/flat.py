"""The flat prior: density 1 at every code, the limit in which a VAE loses its prior."""

from collections.abc import Sequence
from typing import Any, NoReturn

import pyro.distributions as dist
import torch
from pyro.distributions.util import broadcast_shape
from torch import Tensor, nn
from torch.distributions import constraints

__all__ = ["Flat", "FlatPrior"]


class FlatPrior(nn.Module):
    """The improper prior p(z) = 1 over R^D, with event shape (D,).

    Args:
        latent_dim: D, at least 1.

    Raises:
        ValueError: latent_dim is below 1, or a code is to be drawn from the prior.
    """

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        if latent_dim < 1:
            raise ValueError(f"latent_dim must be at least 1; got {latent_dim}.")
        self.latent_dim = latent_dim

    def forward(self) -> dist.TorchDistribution:
        """Return p(z), with batch shape () and event shape (D,)."""
        return Flat(self.latent_dim)


class Flat(dist.TorchDistribution):
    """The improper distribution with log-density 0 over R^D, which scores and never draws.

    Pyro's `ImproperUniform` scores on the CPU in the default dtype; this one follows the value.

    Args:
        latent_dim: D.
        batch_shape: the batch shape.
    """

    arg_constraints: dict[str, constraints.Constraint] = {}  # noqa: RUF012
    support = constraints.real_vector

    def __init__(self, latent_dim: int, batch_shape: Sequence[int] = ()) -> None:
        super().__init__(torch.Size(batch_shape), torch.Size([latent_dim]))

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> "Flat":
        """Return the same distribution over a larger batch."""
        return Flat(self.event_shape[0], batch_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return zeros, one for each code of value, (..., D)."""
        if self._validate_args:
            self._validate_sample(value)
        return value.new_zeros(broadcast_shape(value.shape[:-1], self.batch_shape))

    def sample(self, sample_shape: Sequence[int] = ()) -> NoReturn:
        """Refuse: an improper density has no draws."""
        raise ValueError(
            "a flat prior scores codes and cannot draw them; got a model run without a value of z."
        )
