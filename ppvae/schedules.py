"""Numbers that change with the training step."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["Schedule"]


class Schedule(nn.Module):
    r"""A number that goes from start to end in a straight line, and stays there.

    .. math:: s_t = s_0 + (s_1 - s_0) \min(t / T, 1)

    The step t is a buffer: checkpoints hold it, and a captured step reads it on the device. Only a
    training step advances it; :meth:`begin` tells a schedule that is a fraction of a run how long
    the run is, which :func:`ppvae.fit` does.

    Args:
        start: s_0.
        end: s_1; start unless given, a number that does not change.
        steps: T, in training steps, at least 1.
        fraction: T as a share of the run, in (0, 1]; instead of steps.

    Raises:
        ValueError: start or end is not finite, or T is not given in one of the two ways, or is
            out of range.
    """

    step: Tensor
    length: Tensor

    def __init__(
        self,
        start: float,
        end: float | None = None,
        *,
        steps: int | None = None,
        fraction: float | None = None,
    ) -> None:
        super().__init__()
        self.start = float(start)
        self.end = self.start if end is None else float(end)
        self.fraction = fraction
        if not (math.isfinite(self.start) and math.isfinite(self.end)):
            raise ValueError(f"start and end must be finite; got {self.start} and {self.end}.")
        if (steps is None) == (fraction is None) and self.changes:
            raise ValueError(
                f"schedule must end after either steps or a fraction of the run; "
                f"got steps={steps}, fraction={fraction}."
            )
        if steps is not None and (not math.isfinite(steps) or steps < 1):
            raise ValueError(f"steps must be a whole number of at least 1; got {steps}.")
        if fraction is not None and not 0 < fraction <= 1:
            raise ValueError(f"fraction must be above 0 and at most 1; got {fraction}.")
        self.register_buffer("step", torch.zeros((), dtype=torch.float64))
        length = math.nan if steps is None else float(steps)
        self.register_buffer("length", torch.tensor(length, dtype=torch.float64))

    @property
    def changes(self) -> bool:
        """Whether the number is another one at the end."""
        return self.start != self.end

    def forward(self) -> Tensor:
        """The number now, ()."""
        if not self.changes:
            return torch.full_like(self.step, self.start)
        return self.start + (self.end - self.start) * (self.step / self.length).clamp(max=1.0)

    def begin(self, steps: int) -> None:
        """Take in how many steps the run has, if this is a fraction of it and not begun yet."""
        if self.fraction is not None and bool(self.length.isnan()):
            self.length.fill_(max(1, round(self.fraction * steps)))

    def advance(self) -> None:
        """Go on by one training step."""
        self.step += 1

    def unfinished(self) -> str | None:
        """What a run that has ended says of a schedule that has not; None if it has."""
        if not self.changes or bool(self.step >= self.length):
            return None
        return (
            f"the run ended before its schedule: at {float(self()):g} after {int(self.step)} of "
            f"{float(self.length):g} steps, on the way from {self.start:g} to {self.end:g}"
        )

    def extra_repr(self) -> str:
        """The settings, as they were given."""
        if not self.changes:
            return f"{self.start:g}"
        over = f"fraction={self.fraction:g}" if self.fraction else f"steps={int(self.length)}"
        return f"{self.start:g}, {self.end:g}, {over}"
