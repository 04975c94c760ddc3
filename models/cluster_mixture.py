"""Clusters of known place and width, mixed in unknown proportions.

    y ~ Categorical(softmax(theta))      cluster, (B,)
    x | y ~ N(mu_y, s^2 I)               data, (B, P)

so that p(y|x) is the softmax of theta_y + log N(x; mu_y, s^2 I).

Source: Le et al. (2019), Revisiting reweighted wake-sleep, arXiv:1805.10469.
"""

import math

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroModule
from torch import Tensor, nn

__all__ = ["ClusterMixture"]


class ClusterMixture(PyroModule):
    """p(y) p(x|y) with theta, zero at first, as its one parameter.

    Args:
        centres: mu, (C, P).
        width: s, positive.

    Raises:
        ValueError: the centres or the width break these rules, or x is not (B, P).
    """

    centres: Tensor

    def __init__(self, centres: Tensor, width: float) -> None:
        super().__init__()
        if centres.dim() != 2 or 0 in centres.shape:
            raise ValueError(
                f"centres must be (C, P), C and P at least 1; got shape {tuple(centres.shape)}."
            )
        if not 0 < width < math.inf:
            raise ValueError(f"width must be positive and finite; got {width}.")
        self.register_buffer("centres", centres.detach().clone())
        self.width = width
        self.theta = nn.Parameter(torch.zeros(len(centres), dtype=centres.dtype))

    def forward(self, x: Tensor) -> Tensor:
        """Score data x, (B, P); return the mean of p(x|y), (..., B, P)."""
        if x.dim() != 2 or x.shape[-1] != self.centres.shape[1]:
            raise ValueError(f"x must be (B, {self.centres.shape[1]}); got shape {tuple(x.shape)}.")
        with pyro.plate("data", len(x), dim=-1):
            y = pyro.sample("y", dist.Categorical(logits=self.theta))
            loc = self.centres[y]
            pyro.sample("x", dist.Normal(loc, self.width).to_event(1), obs=x)
        return loc
