"""What labels must be, said at the door of a program."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ppvae.capturing import capturing

__all__ = ["refuse_labels"]


def refuse_labels(
    y: Tensor, shape: Sequence[int], classes: int, *, all_observed: bool = False
) -> None:
    """Refuse labels that are no whole numbers below C, or not one for each row.

    Values are looked at where a program runs as Python; a graph of it holds no look at them.

    Args:
        y: labels, -1 where not observed.
        shape: of the rows, (B,).
        classes: C.
        all_observed: whether -1 is refused too.

    Raises:
        TypeError: y holds another kind of numbers.
        ValueError: y has another shape, or a label out of range.
    """
    if y.is_floating_point() or y.dtype == torch.bool:
        raise TypeError(f"y must hold whole numbers; got {y.dtype}.")
    if y.shape != torch.Size(shape):
        raise ValueError(
            f"y must hold one label a row, {tuple(shape)}; got shape {tuple(y.shape)}."
        )
    if capturing():
        return
    least = 0 if all_observed else -1
    odd = y[(y < least) | (y >= classes)]
    if odd.numel():
        free = "in every row" if all_observed else "or -1 where it is not observed"
        raise ValueError(
            f"y must be a label from 0 to {classes - 1}, {free}; got {int(odd.flatten()[0])}."
        )
