"""A prior over codes of bits."""

import pyro.distributions as dist
import torch
from torch import Tensor, nn

__all__ = ["BernoulliPrior"]


class BernoulliPrior(nn.Module):
    """The prior p(z) = prod_i Bernoulli(z_i; sigmoid(a_i)) over {0, 1}^D, with event shape (D,).

    The logits a are learned; they are zero at first, where all 2^D codes are equally likely.

    Args:
        latent_dim: D, at least 1.

    Raises:
        ValueError: latent_dim is below 1.
    """

    logits: Tensor

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        if latent_dim < 1:
            raise ValueError(f"latent_dim must be at least 1; got {latent_dim}.")
        self.logits = nn.Parameter(torch.zeros(latent_dim))

    def forward(self) -> dist.TorchDistribution:
        """Return p(z), with batch shape () and event shape (D,)."""
        return dist.Bernoulli(logits=self.logits).to_event(1)
