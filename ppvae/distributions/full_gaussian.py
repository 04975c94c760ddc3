"""A Gaussian with any covariance from what a network gives."""

import math

import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor

__all__ = ["full_gaussian", "full_gaussian_width"]


def full_gaussian_width(latent_dim: int) -> int:
    """D (D + 3) / 2: how many numbers a Gaussian over D coordinates takes."""
    return latent_dim * (latent_dim + 3) // 2


def full_gaussian(params: Tensor, network: str) -> TorchDistribution:
    """N(loc, L L^T) with event shape (D,).

    Args:
        params: loc, log diagonal of L and the entries of L below it, row by row, side by side,
            (..., D (D + 3) / 2).
        network: what gave them, for the message.

    Raises:
        ValueError: the width is that of no D.
    """
    width = params.shape[-1]
    latent_dim = (math.isqrt(9 + 8 * width) - 3) // 2
    if latent_dim < 1 or full_gaussian_width(latent_dim) != width:
        raise ValueError(f"{network} must have width D (D + 3) / 2 for some D; got {width}.")
    loc, log_diagonal, below = params.split(
        [latent_dim, latent_dim, width - 2 * latent_dim], dim=-1
    )
    # Each place of L by its number among the entries below the diagonal, 0 for none.
    place = torch.zeros(latent_dim, latent_dim, dtype=torch.int64, device=params.device)
    row, column = torch.tril_indices(latent_dim, latent_dim, -1, device=params.device)
    place[row, column] = torch.arange(1, len(row) + 1, device=params.device)
    padded = torch.nn.functional.pad(below, (1, 0))
    lower = padded.index_select(-1, place.flatten()).unflatten(-1, (latent_dim, latent_dim))
    scale_tril = lower + torch.diag_embed(log_diagonal.exp())
    return dist.MultivariateNormal(loc, scale_tril=scale_tril)
