"""The guide by normalizing flows.

    e ~ N(loc, diag(scale^2)),    z = T(e; context),    (loc, log scale, context) = encoder(x)

Source: Rezende & Mohamed (2015), arXiv:1505.05770; Kingma et al. (2016), arXiv:1606.04934.
"""

from collections.abc import Iterable
from typing import Any

import pyro
import pyro.distributions as dist
from pyro.nn import PyroModule
from torch import Tensor, nn

from ppvae.distributions import Transforms, diagonal_gaussian
from ppvae.networks import filled

__all__ = ["FlowGuide"]


class FlowGuide(PyroModule):
    """q(z|x) as transforms of a diagonal Gaussian; conditional ones depend on x.

    Draws are scored as they are made, for which no transform needs an inverse. An estimator that
    scores draws again refuses a flow without one (planar, radial).

    Args:
        encoder: from data (B, P) to loc, log scale and context side by side, (B, 2 D + C).
        transforms: Pyro's transforms on D coordinates, such as ``conditional_planar(D, C)``,
            applied in this order.
        context_dim: C; 0 where no transform is conditional.

    Raises:
        ValueError: context_dim is negative, the width of loc and log scale is odd, or the mask has
            another shape than x.
        TypeError: one of the transforms is none, or the mask is not boolean.
    """

    def __init__(self, encoder: nn.Module, transforms: Iterable[Any], context_dim: int = 0) -> None:
        super().__init__()
        if context_dim < 0:
            raise ValueError(f"context_dim must be at least 0; got {context_dim}.")
        self.encoder = encoder
        self.context_dim = context_dim
        self.transforms = Transforms(transforms)

    def distribution(self, x: Tensor, mask: Tensor | None = None) -> dist.TorchDistribution:
        """q(z|x) of data (B, P), with batch shape (B,) and event shape (D,)."""
        params = self.encoder(filled(x, mask))
        own = params.shape[-1] - self.context_dim
        base = diagonal_gaussian(params[..., :own], "encoder, without its context,")
        posterior: dist.TorchDistribution = self.transforms(base, params[..., own:])
        return posterior

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Draw codes z, (..., B, D), for data x, (B, P), read with 0 where a mask hides them."""
        posterior = self.distribution(x, mask)
        with pyro.plate("data", len(x), dim=-1):
            return pyro.sample("z", posterior)
