"""Two layers of codes, one number each, with a bend between them.

    z2 ~ N(0, 1)                        upper code, (B, 1)
    z1 | z2 ~ N(g tanh(z2), s^2)        lower code, (B, 1)
    x | z1 ~ N(z1, s^2)                 data, (B, 1)

The tanh makes p(z2|x) skewed, and wide where x lies beyond g: no Gaussian guide is exact.
"""

import math

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroModule
from torch import Tensor, nn

__all__ = ["TwoLayers"]


class TwoLayers(PyroModule):
    """p(z2) p(z1|z2) p(x|z1) with g and log s as parameters.

    Args:
        gain: g.
        scale: s, positive.

    Raises:
        ValueError: gain or scale breaks these rules, or x is not (B, 1).
    """

    def __init__(self, gain: float = 2.0, scale: float = 0.5) -> None:
        super().__init__()
        if not math.isfinite(gain):
            raise ValueError(f"gain must be finite; got {gain}.")
        if not 0 < scale < math.inf:
            raise ValueError(f"scale must be positive and finite; got {scale}.")
        self.gain = nn.Parameter(torch.tensor(float(gain)))
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)))

    def forward(self, x: Tensor) -> Tensor:
        """Score data x, (B, 1); return the mean of p(x|z1), which is z1, (..., B, 1)."""
        if x.dim() != 2 or x.shape[-1] != 1:
            raise ValueError(f"x must be (B, 1); got shape {tuple(x.shape)}.")
        scale = self.log_scale.exp()
        with pyro.plate("data", len(x), dim=-1):
            z2 = pyro.sample("z2", dist.Normal(x.new_zeros(1), 1.0).to_event(1))
            z1 = pyro.sample("z1", dist.Normal(self.gain * z2.tanh(), scale).to_event(1))
            pyro.sample("x", dist.Normal(z1, scale).to_event(1), obs=x)
        return z1
