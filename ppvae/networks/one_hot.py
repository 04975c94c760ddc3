"""Labels as networks take them."""

import torch
from torch import Tensor

__all__ = ["one_hot"]


def one_hot(y: Tensor, classes: int, dtype: torch.dtype) -> Tensor:
    """Labels, (...), as zeros with a one at the label, (..., C); soft labels stay as they are.

    ``torch.nn.functional.one_hot`` looks at the values first, for which a GPU has to wait and
    which no graph can hold.

    Args:
        y: whole numbers from 0 to C - 1, (...), or soft labels, (..., C).
        classes: C.
        dtype: of the result.
    """
    if y.is_floating_point():
        return y
    return (y.unsqueeze(-1) == torch.arange(classes, device=y.device)).to(dtype)
