"""Numbers that change with the training step."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["Schedule", "scheduled"]


class Schedule(nn.Module):
    r"""A number that goes from start to end in a straight line, and stays there.

    .. math:: s_t = s_0 + (s_1 - s_0) \min(t / T, 1)

    The step t is a buffer: checkpoints hold it, and a captured step reads it on the device. Only a
    training step advances it. A schedule that is a fraction of a run is told by :meth:`begin` how
    long the run is, which :func:`ppvae.fit` does. It keeps that length: a run that is resumed to
    more steps does not go back on its schedule.

    Args:
        start: s_0.
        end: s_1; start unless given, a number that does not change.
        steps: T, in training steps, at least 1.
        fraction: T as a share of the run, in (0, 1]; instead of steps.

    Raises:
        ValueError: start or end is not finite, or T is not given in one of the two ways, is out
            of range, or is given for a number without an end.
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
        if (end is None) != (steps is None and fraction is None) or None not in (steps, fraction):
            raise ValueError(
                "a schedule must have an end, and end after either steps or a fraction of the "
                f"run; got end={end}, steps={steps}, fraction={fraction}."
            )
        if steps is not None and not (steps >= 1 and float(steps).is_integer()):
            raise ValueError(f"steps must be a whole number of at least 1; got {steps}.")
        if fraction is not None and not 0 < fraction <= 1:
            raise ValueError(f"fraction must be above 0 and at most 1; got {fraction}.")
        self.register_buffer("step", torch.zeros((), dtype=torch.float64))
        length = math.nan if steps is None else float(steps)
        self.register_buffer("length", torch.tensor(length, dtype=torch.float64))
        # Asked of the device once, not at every step.
        self._has_length = not self.changes or steps is not None

    @property
    def changes(self) -> bool:
        """Whether the number is another one at the end."""
        return self.start != self.end

    def forward(self) -> Tensor:
        """The number now, ().

        Raises:
            ValueError: nobody has said how long the run is of which the schedule is a fraction.
        """
        if not self.changes:
            return torch.full_like(self.step, self.start)
        if not self._has_length:
            self._refuse_without_length()
        return self.start + (self.end - self.start) * (self.step / self.length).clamp(max=1.0)

    def begin(self, steps: int) -> None:
        """Take in how many steps the run has, if this is a fraction of it and not begun yet.

        Raises:
            ValueError: steps is below 1.
        """
        if steps < 1:
            raise ValueError(f"steps must be at least 1; got {steps}.")
        if self.fraction is not None and bool(self.length.isnan()):
            self.length.fill_(max(1, round(self.fraction * steps)))

    def advance(self) -> None:
        """Go on by one training step."""
        self.step += 1

    def unfinished(self) -> str | None:
        """What a run that has ended says of a schedule that has not; None if it has."""
        if not self.changes or not bool(self.step < self.length):
            return None
        return (
            f"the run ended before its schedule: at {float(self()):g} after {int(self.step)} of "
            f"{int(self.length)} steps, on the way from {self.start:g} to {self.end:g}"
        )

    def extra_repr(self) -> str:
        """The settings, as they were given."""
        if not self.changes:
            return repr(self.start)
        over = f"fraction={self.fraction!r}" if self.fraction else f"steps={int(self.length)}"
        return f"{self.start!r}, {self.end!r}, {over}"

    def _refuse_without_length(self) -> None:
        if bool(self.length.isnan()):
            raise ValueError(
                f"a schedule over a fraction of the run, {self.fraction}, must be told how many "
                "steps the run has, by ppvae.fit or by begin(steps) of the estimator; got none."
            )
        self._has_length = True


def scheduled(name: str, value: float | Schedule) -> Schedule:
    """A setting as a schedule, a number as one that does not change.

    Raises:
        TypeError: it is neither.
        ValueError: it is below 0 at its start or at its end, or not finite.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | Schedule):
        raise TypeError(f"{name} must be a number or a Schedule; got {type(value).__name__}.")
    lowest = min(value.start, value.end) if isinstance(value, Schedule) else float(value)
    if not 0 <= lowest < math.inf:
        raise ValueError(f"{name} must be finite and at least 0; got {lowest:g}.")
    return value if isinstance(value, Schedule) else Schedule(lowest)
