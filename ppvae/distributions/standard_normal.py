"""The standard normal prior."""

import pyro.distributions as dist
import torch
from torch import Tensor, nn

__all__ = ["StandardNormal"]


class StandardNormal(nn.Module):
    """The prior z ~ N(0, I_D), with event shape (D,).

    Args:
        latent_dim: D, at least 1.

    Raises:
        ValueError: latent_dim is below 1.
    """

    loc: Tensor
    scale: Tensor

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        if latent_dim < 1:
            raise ValueError(f"latent_dim must be at least 1; got {latent_dim}.")
        # Buffers follow the module's dtype and device; constants need no place in a checkpoint.
        self.register_buffer("loc", torch.zeros(latent_dim), persistent=False)
        self.register_buffer("scale", torch.ones(latent_dim), persistent=False)

    def forward(self) -> dist.TorchDistribution:
        """Return p(z), with batch shape () and event shape (D,)."""
        return dist.Normal(self.loc, self.scale).to_event(1)
