"""The guide without latent sites, for a model that sums its own labels out."""

from pyro.nn import PyroModule
from torch import Tensor

__all__ = ["EmptyGuide"]


class EmptyGuide(PyroModule):
    """q over nothing: all latent sites are enumerated by the model, and bounds are log p(x)."""

    def forward(self, x: Tensor) -> None:
        """Draw nothing for data x, (B, ...)."""
