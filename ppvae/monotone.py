"""What must never fall, and how far rounding may take it down."""

import torch
from torch import Tensor

__all__ = ["refuse_fall"]


def refuse_fall(before: Tensor, after: Tensor, what: str) -> None:
    """Refuse an objective that a closed step has lowered by more than rounding.

    Args:
        before: its value before the step, ().
        after: and after it.
        what: which step it was, the subject of a sentence.

    Raises:
        ValueError: it fell, or is not a number.
    """
    rounding = 1000 * torch.finfo(after.dtype).eps * max(abs(float(before)), 1.0)
    if not float(after) >= float(before) - rounding:
        raise ValueError(
            f"{what} must not lower the objective; got {float(after):.12g} nats "
            f"after {float(before):.12g}."
        )
