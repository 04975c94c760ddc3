"""A code seen only through its square: two codes explain each datum equally well.

    z ~ N(0, 1)              code, (B, 1)
    x | z ~ N(z^2, s^2)      data, (B, 1)

For x well above s^2 the posterior has two narrow modes, near sqrt(x) and -sqrt(x).
"""

import math

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroModule
from torch import Tensor, nn

__all__ = ["Squared"]


class Squared(PyroModule):
    """p(z) p(x|z) with log s as its one parameter.

    Args:
        scale: s, positive.

    Raises:
        ValueError: the scale breaks this rule, or x is not (B, 1).
    """

    def __init__(self, scale: float = 0.5) -> None:
        super().__init__()
        if not 0 < scale < math.inf:
            raise ValueError(f"scale must be positive and finite; got {scale}.")
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)))

    def forward(self, x: Tensor) -> Tensor:
        """Score data x, (B, 1); return the mean of p(x|z), (..., B, 1)."""
        if x.dim() != 2 or x.shape[-1] != 1:
            raise ValueError(f"x must be (B, 1); got shape {tuple(x.shape)}.")
        with pyro.plate("data", len(x), dim=-1):
            z = pyro.sample("z", dist.Normal(x.new_zeros(1), 1.0).to_event(1))
            loc = z.square()
            pyro.sample("x", dist.Normal(loc, self.log_scale.exp()).to_event(1), obs=x)
        return loc
