"""The Gaussian guide with any covariance.

    q(z|x) = N(loc, L L^T),    (loc, L) from encoder(x)

Source: Kingma & Welling (2019), arXiv:1906.02691, on full-covariance posteriors.
"""

import pyro
import pyro.distributions as dist
from pyro.nn import PyroModule
from torch import Tensor, nn

from ppvae.distributions import full_gaussian
from ppvae.networks import filled

__all__ = ["FullGaussianGuide"]


class FullGaussianGuide(PyroModule):
    """q(z|x) with correlated coordinates.

    Args:
        encoder: from data (B, P) to loc, log diagonal of L and the entries of L below it, row by
            row, side by side, (B, D (D + 3) / 2): ``full_gaussian_width(D)``.

    Raises:
        ValueError: the encoder's width is that of no D, or the mask has another shape than x.
        TypeError: the mask is not boolean.
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def distribution(self, x: Tensor, mask: Tensor | None = None) -> dist.TorchDistribution:
        """q(z|x) of data (B, P), with batch shape (B,) and event shape (D,)."""
        return full_gaussian(self.encoder(filled(x, mask)), "encoder")

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Draw codes z, (..., B, D), for data x, (B, P), read with 0 where a mask hides them."""
        posterior = self.distribution(x, mask)
        with pyro.plate("data", len(x), dim=-1):
            return pyro.sample("z", posterior)
