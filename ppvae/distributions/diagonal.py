"""A diagonal Gaussian from what a network gives: its means and log scales side by side."""

import pyro.distributions as dist
from pyro.distributions import TorchDistribution
from torch import Tensor

__all__ = ["diagonal_gaussian"]


def diagonal_gaussian(params: Tensor, network: str) -> TorchDistribution:
    """N(loc, diag(scale^2)) with event shape (D,).

    Args:
        params: loc and log scale side by side, (..., 2 D).
        network: what gave them, for the message.

    Raises:
        ValueError: the width is odd.
    """
    if params.shape[-1] % 2:
        raise ValueError(f"{network} must have even width; got {params.shape[-1]}.")
    loc, log_scale = params.chunk(2, dim=-1)
    return dist.Normal(loc, log_scale.exp()).to_event(1)
