"""Rows whose holes are empty."""

import torch
from torch import Tensor

__all__ = ["filled"]


def filled(x: Tensor, mask: Tensor | None) -> Tensor:
    """Return x with 0 where nothing is observed, whatever lies there, NaN included.

    Args:
        x: rows, (B, P).
        mask: true where x is observed, (B, P); None where all of it is.

    Raises:
        TypeError: the mask is not boolean.
        ValueError: the mask has another shape than x.
    """
    if mask is None:
        return x
    if mask.dtype != torch.bool:
        raise TypeError(f"mask must be boolean, true where x is observed; got {mask.dtype}.")
    if mask.shape != x.shape:
        raise ValueError(
            f"mask must have the shape of x, {tuple(x.shape)}; got {tuple(mask.shape)}."
        )
    return torch.where(mask, x, 0.0)
