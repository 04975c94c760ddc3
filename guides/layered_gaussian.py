"""The layered Gaussian guide, from the data upwards.

    q(z1, z2|x) = q(z1|x) q(z2|z1)
    q(z1|x)  = N(loc, diag(scale^2)),    (loc, log scale) = lower(x)
    q(z2|z1) = N(loc, diag(scale^2)),    (loc, log scale) = upper(z1)

Source: Burda, Grosse & Salakhutdinov (2016), arXiv:1509.00519, eq. 2.
"""

import pyro
from pyro.nn import PyroModule
from torch import Tensor, nn

from ppvae.distributions import diagonal_gaussian

__all__ = ["LayeredGaussianGuide"]


class LayeredGaussianGuide(PyroModule):
    """q(z1|x) q(z2|z1): the upper code's mean and scale depend on the draw of the lower one.

    Args:
        lower: from data (B, P) to loc and log scale of z1 side by side, (B, 2 D1).
        upper: from z1, (..., B, D1), to those of z2, (..., B, 2 D2).

    Raises:
        ValueError: the width of a network is odd.
    """

    def __init__(self, lower: nn.Module, upper: nn.Module) -> None:
        super().__init__()
        self.lower = lower
        self.upper = upper

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Draw codes z1, (..., B, D1), and z2, (..., B, D2), for data x, (B, P)."""
        with pyro.plate("data", len(x), dim=-1):
            z1 = pyro.sample("z1", diagonal_gaussian(self.lower(x), "lower"))
            z2 = pyro.sample("z2", diagonal_gaussian(self.upper(z1), "upper"))
        return z1, z2
