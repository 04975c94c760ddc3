"""The prior by normalizing flows."""

from collections.abc import Iterable
from typing import Any

from pyro.distributions import TorchDistribution
from torch import nn

from ppvae.distributions.standard_normal import StandardNormal
from ppvae.distributions.transforms import Transforms

__all__ = ["FlowPrior"]


class FlowPrior(nn.Module):
    """The prior z = T(e), e ~ N(0, I_D), with event shape (D,); the transforms T are learned.

    It is scored at draws of the guide, for which T needs an inverse: Pyro's couplings and splines
    have one; of an autoregressive transform the ``.inv`` is taken, which is quick to score and
    slow to draw; planar and radial ones have none.

    Args:
        latent_dim: D, at least 1.
        transforms: Pyro's transforms on D coordinates, applied in this order.

    Raises:
        ValueError: latent_dim is below 1.
        TypeError: one of the transforms is none.
    """

    def __init__(self, latent_dim: int, transforms: Iterable[Any]) -> None:
        super().__init__()
        self.base = StandardNormal(latent_dim)
        self.transforms = Transforms(transforms)

    def forward(self) -> TorchDistribution:
        """Return p(z), with batch shape () and event shape (D,)."""
        transformed: TorchDistribution = self.transforms(self.base())
        return transformed
