"""The affine guide, of one fixed scale.

    q(z|x) = N(A x + b, s^2 I)

Source: Rainforth et al. (2018), arXiv:1802.04537, with s^2 = 2/3.
"""

import math

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroModule
from torch import Tensor, nn

__all__ = ["AffineGuide"]


class AffineGuide(PyroModule):
    """q(z|x) with a mean affine in x; A and b are parameters, s is not.

    Args:
        slope: A, (D, P).
        offset: b, (D,).
        spread: s, the standard deviation of every coordinate; positive.

    Raises:
        ValueError: a shape or the spread breaks these rules.
    """

    def __init__(self, slope: Tensor, offset: Tensor, spread: float) -> None:
        super().__init__()
        if slope.dim() != 2 or 0 in slope.shape:
            raise ValueError(
                f"slope must be (D, P), D and P at least 1; got shape {tuple(slope.shape)}."
            )
        if offset.shape != slope.shape[:1]:
            raise ValueError(
                f"offset must be as long as slope, {len(slope)}; got shape {tuple(offset.shape)}."
            )
        if not 0 < spread < math.inf:
            raise ValueError(f"spread must be positive and finite; got {spread}.")
        # Pyro never trains a parameter that is not contiguous.
        copy = {"memory_format": torch.contiguous_format}
        self.slope = nn.Parameter(slope.detach().clone(**copy))
        self.offset = nn.Parameter(offset.detach().clone(**copy))
        self.spread = spread

    def distribution(self, x: Tensor) -> dist.TorchDistribution:
        """q(z|x) of data (B, P), with batch shape (B,) and event shape (D,)."""
        return dist.Normal(x @ self.slope.T + self.offset, self.spread).to_event(1)

    def forward(self, x: Tensor) -> Tensor:
        """Draw codes z, (..., B, D), for data x, (B, P)."""
        posterior = self.distribution(x)
        with pyro.plate("data", len(x), dim=-1):
            return pyro.sample("z", posterior)
