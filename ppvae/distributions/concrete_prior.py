"""Priors over relaxed bits and states."""

import pyro.distributions as dist
import torch
from torch import Tensor, nn

from ppvae.distributions.concrete import BinaryConcrete, Concrete
from ppvae.distributions.relaxed import refuse_temperature

__all__ = ["BinaryConcretePrior", "ConcretePrior"]


class BinaryConcretePrior(nn.Module):
    """The prior p(z) = prod_i BinaryConcrete(z_i; a_i, tau) of log-odds, with event shape (D,).

    The logits a are learned; they are zero at first, where all 2^D codes are equally likely.

    Args:
        latent_dim: D, at least 1.
        temperature: tau, positive.

    Raises:
        ValueError: latent_dim is below 1, or temperature is not positive and finite.
    """

    logits: Tensor

    def __init__(self, latent_dim: int, temperature: float = 0.5) -> None:
        super().__init__()
        if latent_dim < 1:
            raise ValueError(f"latent_dim must be at least 1; got {latent_dim}.")
        refuse_temperature(temperature)
        self.temperature = temperature
        self.logits = nn.Parameter(torch.zeros(latent_dim))

    def bits(self) -> dist.TorchDistribution:
        """The prior of the bits 1[z > 0], with event shape (D,)."""
        return dist.Bernoulli(logits=self.logits).to_event(1)

    def forward(self) -> dist.TorchDistribution:
        """Return p(z), with batch shape () and event shape (D,)."""
        return BinaryConcrete(self.logits, self.temperature).to_event(1)


class ConcretePrior(nn.Module):
    """The prior p(z) = prod_i Concrete(z_i; a_i, tau), with event shape (D, C).

    The logits a are learned; they are zero at first, where all C^D codes are equally likely.

    Args:
        latent_dim: D, at least 1.
        states: C, at least 2.
        temperature: tau, positive.

    Raises:
        ValueError: an argument breaks these rules.
    """

    logits: Tensor

    def __init__(self, latent_dim: int, states: int, temperature: float = 0.5) -> None:
        super().__init__()
        if latent_dim < 1:
            raise ValueError(f"latent_dim must be at least 1; got {latent_dim}.")
        if states < 2:
            raise ValueError(f"states must be at least 2; got {states}.")
        refuse_temperature(temperature)
        self.temperature = temperature
        self.logits = nn.Parameter(torch.zeros(latent_dim, states))

    def forward(self) -> dist.TorchDistribution:
        """Return p(z), with batch shape () and event shape (D, C)."""
        return Concrete(self.logits, self.temperature).to_event(1)
