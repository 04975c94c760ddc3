"""How sharp images are, as a number."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

__all__ = ["sharpness"]


def sharpness(x: Tensor, image_shape: Sequence[int]) -> Tensor:
    r"""The variance of the Laplacian of each image, averaged over its channels.

    .. math:: \phi = \mathrm{Var}_{ij}(x_{i-1,j} + x_{i+1,j} + x_{i,j-1} + x_{i,j+1} - 4 x_{ij})

    The variance is over the pixels that have four neighbours. Blur lowers it, noise raises it:
    white noise of variance s^2 adds 20 s^2. Images of one kind are compared by their means, as in
    ``sharpness(again, shape).mean() / sharpness(x, shape).mean()``.

    Args:
        x: rows, (N, P).
        image_shape: (C, H, W) with C H W = P, H and W at least 3.

    Returns:
        phi, (N,), in squared units of x.

    Raises:
        ValueError: the shapes do not go together, or an image has no pixel with four neighbours.

    Example:
        >>> import torch
        >>> board = (torch.arange(6)[:, None] + torch.arange(6)) % 2.0  # each Laplacian is 4 or -4
        >>> sharpness(board.reshape(1, 36), (1, 6, 6))
        tensor([16.])

    Source: Pech-Pacheco, Cristobal, Chamorro-Martinez & Fernandez-Valdivia (2000), Diatom
    autofocusing in brightfield microscopy, ICPR, where it is the focus measure LAP_VAR.
    """
    shape = tuple(image_shape)
    if len(shape) != 3 or min(shape[1:]) < 3:
        raise ValueError(f"image_shape must be (C, H, W), H and W at least 3; got {shape}.")
    if x.dim() != 2 or x.shape[1] != math.prod(shape):
        raise ValueError(
            f"x must be rows of images {shape}, (N, {math.prod(shape)}); got {tuple(x.shape)}."
        )
    images = x.reshape(-1, *shape)
    middle = images[..., 1:-1, 1:-1]
    around = (
        images[..., :-2, 1:-1]
        + images[..., 2:, 1:-1]
        + images[..., 1:-1, :-2]
        + images[..., 1:-1, 2:]
    )
    laplacian = (around - 4 * middle).flatten(2)
    return laplacian.var(-1, unbiased=False).mean(-1)
