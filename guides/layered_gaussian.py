"""The layered Gaussian guide, from the data upwards.

    q(z_1, ..., z_L|x) = q(z_1|x) q(z_2|z_1) ... q(z_L|z_{L-1})
    q(z_1|x)       = N(loc, diag(scale^2)),    (loc, log scale) = encoder_1(x)
    q(z_l|z_{l-1}) = N(loc, diag(scale^2)),    (loc, log scale) = encoder_l(z_{l-1})

Source: Burda, Grosse & Salakhutdinov (2016), arXiv:1509.00519, eq. 2.
"""

from collections.abc import Iterable

import pyro
from pyro.nn import PyroModule
from torch import Tensor, nn

from ppvae.distributions import diagonal_gaussian
from ppvae.networks import filled

__all__ = ["LayeredGaussianGuide"]


class LayeredGaussianGuide(PyroModule):
    """Each code's mean and scale depend on the draw of the one below; sites "z1", ..., "zL".

    Args:
        encoders: L networks, at least one, the lowest first: from data (B, P) to loc and log scale
            of z_1 side by side, (B, 2 D_1), then from z_{l-1}, (..., B, D_{l-1}), to those of z_l.

    Raises:
        ValueError: there is no network, or one of odd width, or the mask has another shape than x.
        TypeError: the mask is not boolean.
    """

    def __init__(self, encoders: Iterable[nn.Module]) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(encoders)
        if not self.encoders:
            raise ValueError("encoders must hold at least 1 network; got 0.")

    def forward(self, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, ...]:
        """Draw codes z_l, (..., B, D_l), for data x, (B, P), read with 0 where a mask hides them.

        They come with the lowest first.
        """
        codes, below = [], filled(x, mask)
        with pyro.plate("data", len(x), dim=-1):
            for number, encoder in enumerate(self.encoders, 1):
                posterior = diagonal_gaussian(encoder(below), f"encoder {number}")
                below = pyro.sample(f"z{number}", posterior)
                codes.append(below)
        return tuple(codes)
