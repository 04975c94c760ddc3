"""The states over which a pair is summed: all binary codes, or the points of a grid."""

import math

import torch
from torch import Tensor

__all__ = ["MAX_BITS", "binary_codes", "grid"]

# 4096 codes for each datum: more would take longer than drawing enough of them.
MAX_BITS = 12


def binary_codes(latent_dim: int) -> Tensor:
    """All codes in {0, 1}^D, (2^D, D).

    Args:
        latent_dim: D, between 1 and 12.

    Raises:
        ValueError: latent_dim lies outside of that.
    """
    if not 1 <= latent_dim <= MAX_BITS:
        raise ValueError(
            f"latent_dim must be between 1 and {MAX_BITS}, so that all 2^latent_dim codes can be "
            f"summed; got {latent_dim}."
        )
    numbers = torch.arange(2**latent_dim)
    return (numbers[:, None] >> torch.arange(latent_dim) & 1).to(torch.get_default_dtype())


def grid(limit: float, size: int, dims: int = 1) -> tuple[Tensor, float]:
    """An even grid over [-limit, limit] in each dimension.

    Args:
        limit: where the densities have vanished.
        size: points along each dimension, at least 2.
        dims: how many dimensions.

    Returns:
        The points, (size^dims, dims), in float64, and the log of the volume around each.

    Raises:
        ValueError: size is below 2 or limit is not positive.
    """
    if size < 2 or not limit > 0:
        raise ValueError(
            f"a grid must have at least 2 points and a positive limit; got {size} and {limit}."
        )
    line = torch.linspace(-limit, limit, size, dtype=torch.float64)
    points = torch.cartesian_prod(*[line] * dims).reshape(-1, dims)
    return points, dims * math.log(2 * limit / (size - 1))
