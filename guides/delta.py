"""The point guide.

    q(z|x) = delta(z - encoder(x))

With a flat prior the ELBO is log p(x | f(encoder(x))): the VAE's limit beta -> 0, in which nothing
holds the code near the prior, its noise vanishes, and a plain autoencoder remains.
"""

import pyro
import pyro.distributions as dist
from pyro.nn import PyroModule
from torch import Tensor, nn

__all__ = ["DeltaGuide"]


class DeltaGuide(PyroModule):
    """q(z|x) at one point, scored with log-density 0.

    Args:
        encoder: from data (B, P) to codes, (B, D).
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Tensor) -> Tensor:
        """Return the codes z, (..., B, D), of data x, (B, P)."""
        point = dist.Delta(self.encoder(x), event_dim=1)
        with pyro.plate("data", len(x), dim=-1):
            return pyro.sample("z", point)
