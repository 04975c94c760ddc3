"""The diagonal Gaussian guide.

    q(z|x) = N(loc, diag(scale^2)),    (loc, log scale) = encoder(x)

Source: Kingma & Welling (2014), arXiv:1312.6114.
"""

import pyro
import pyro.distributions as dist
from pyro.nn import PyroModule
from torch import Tensor, nn

__all__ = ["GaussianGuide"]


class GaussianGuide(PyroModule):
    """q(z|x) with independent coordinates.

    Args:
        encoder: from data (B, P) to loc and log scale side by side, (B, 2 D).

    Raises:
        ValueError: the encoder's width is odd.
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def distribution(self, x: Tensor) -> dist.TorchDistribution:
        """q(z|x) of data (B, P), with batch shape (B,) and event shape (D,)."""
        params = self.encoder(x)
        if params.shape[-1] % 2:
            raise ValueError(f"encoder must have even width; got {params.shape[-1]}.")
        loc, log_scale = params.chunk(2, dim=-1)
        return dist.Normal(loc, log_scale.exp()).to_event(1)

    def forward(self, x: Tensor) -> Tensor:
        """Draw codes z, (..., B, D), for data x, (B, P)."""
        posterior = self.distribution(x)
        with pyro.plate("data", len(x), dim=-1):
            return pyro.sample("z", posterior)
