"""Independent bits as one event, all codes of which can be summed over."""

from collections.abc import Sequence
from typing import Any

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.distributions import constraints

__all__ = ["Bits"]

# 4096 codes: more would take longer than drawing enough of them.
_MOST = 12


class Bits(dist.TorchDistribution):
    """prod_i Bernoulli(z_i; sigmoid(a_i)) over {0, 1}^D, with event shape (D,).

    Pyro's own independent bits of one event cannot be enumerated.

    Args:
        logits: a, (..., D).
    """

    arg_constraints: dict[str, constraints.Constraint] = {}  # noqa: RUF012
    support = constraints.independent(constraints.boolean, 1)
    has_enumerate_support = True

    def __init__(self, logits: Tensor) -> None:
        self.each = dist.Bernoulli(logits=logits, validate_args=False)
        super().__init__(logits.shape[:-1], logits.shape[-1:], validate_args=False)

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> "Bits":
        """Return the same distribution over a larger batch."""
        return Bits(self.each.logits.expand(*batch_shape, *self.event_shape))

    @property
    def mean(self) -> Tensor:
        """The probability of each bit, (..., D)."""
        return self.each.mean

    @property
    def variance(self) -> Tensor:
        """The variance of each bit, (..., D)."""
        return self.each.variance

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-probability of codes, (...) nats."""
        return self.each.log_prob(value).sum(-1)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draws, (..., D)."""
        return self.each.sample(sample_shape)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All codes, (2^D, ..., D), with batch dimensions of size 1 unless expanded.

        Raises:
            ValueError: there are more than 12 bits.
        """
        (bits,) = self.event_shape
        if bits > _MOST:
            raise ValueError(f"bits must be at most {_MOST} to be enumerated; got {bits}.")
        logits = self.each.logits
        numbers = torch.arange(2**bits, device=logits.device)
        codes = (numbers[:, None] >> torch.arange(bits, device=logits.device) & 1).to(logits.dtype)
        codes = codes.reshape(-1, *[1] * len(self.batch_shape), bits)
        return codes.expand(-1, *self.batch_shape, -1) if expand else codes
