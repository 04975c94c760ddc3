"""Named tensors by split, as the readers hand them over."""

from dataclasses import dataclass

from torch import Tensor

__all__ = ["SPLITS", "Fields", "Raw"]

Fields = dict[str, Tensor]

# In the order in which `index` counts the rows.
SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class Raw:
    """What a reader found, before binarisation.

    Args:
        splits: for "train", "valid" and "test" the fields "x" (N, P) float32, and where
            there are any "y" (N,) int64 and "mask" (N, P) bool.
        image_shape: (C, H, W) with C * H * W = P, or None where rows are no images.
        notes: what was done or left out on the way, in words.
    """

    splits: dict[str, Fields]
    image_shape: tuple[int, int, int] | None
    notes: tuple[str, ...] = ()
