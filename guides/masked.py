"""The diagonal Gaussian guide that knows which values are observed.

    q(z|x, m) = N(loc, diag(scale^2)),    (loc, log scale) = encoder(x * m, m)

With a model that scores the observed values alone and K draws inside the weight, ``IWAE(K)``, this
is the MIWAE of data with holes: the bound of log p(x_observed), which none of the hidden values
enters. (``ppvae.MIWAE`` is another thing of the same name, the mean of several IWAE bounds.)

Source: Mattei & Frellsen (2019), MIWAE, arXiv:1812.02633, whose encoder sees x * m alone.
"""

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroModule
from torch import Tensor, nn

from ppvae.distributions import diagonal_gaussian
from ppvae.networks import filled

__all__ = ["MaskedGuide"]


class MaskedGuide(PyroModule):
    """q(z|x, m) with independent coordinates, for rows with holes.

    Args:
        encoder: from x with 0 in its holes and the mask as numbers 0 and 1, (B, P) each, to loc and
            log scale side by side, (B, 2 D): ``MLP([P, P], ...)`` or ``PartialConvEncoder(...)``.

    Raises:
        ValueError: the encoder's width is odd, or the mask has another shape than x.
        TypeError: the mask is not boolean.
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def distribution(self, x: Tensor, mask: Tensor | None = None) -> dist.TorchDistribution:
        """q(z|x, m) of data (B, P), all observed if no mask is given, with event shape (D,)."""
        seen = torch.ones_like(x, dtype=torch.bool) if mask is None else mask
        return diagonal_gaussian(self.encoder(filled(x, seen), seen.to(x.dtype)), "encoder")

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Draw codes z, (..., B, D), for data x and what is observed of them, (B, P)."""
        posterior = self.distribution(x, mask)
        with pyro.plate("data", len(x), dim=-1):
            return pyro.sample("z", posterior)
