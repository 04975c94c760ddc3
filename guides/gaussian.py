"""The diagonal Gaussian guide.

    q(z|x) = N(loc, diag(scale^2)),    (loc, log scale) = encoder(x)

Source: Kingma & Welling (2014), arXiv:1312.6114.
"""

import pyro
import pyro.distributions as dist
from pyro.nn import PyroModule
from torch import Tensor, nn

from ppvae.distributions import diagonal_gaussian
from ppvae.networks import filled

__all__ = ["GaussianGuide"]


class GaussianGuide(PyroModule):
    """q(z|x) with independent coordinates.

    Args:
        encoder: from data (B, P) to loc and log scale side by side, (B, 2 D).

    Raises:
        ValueError: the encoder's width is odd, or the mask has another shape than x.
        TypeError: the mask is not boolean.
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def distribution(self, x: Tensor, mask: Tensor | None = None) -> dist.TorchDistribution:
        """q(z|x) of data (B, P), with batch shape (B,) and event shape (D,)."""
        return diagonal_gaussian(self.encoder(filled(x, mask)), "encoder")

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Draw codes z, (..., B, D), for data x, (B, P), read with 0 where a mask hides them."""
        posterior = self.distribution(x, mask)
        with pyro.plate("data", len(x), dim=-1):
            return pyro.sample("z", posterior)
