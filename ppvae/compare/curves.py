"""A held-out curve, read at a moment between its points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["read_at", "rise"]

Array = NDArray[np.float64]


def read_at(clock: Array, curve: Array, moment: float) -> Array:
    """The curve at a moment, on the straight line between the points around it.

    Args:
        clock: steps or seconds at the points, (T,), growing; NaN behind the last one.
        curve: values at the points by row, (T, R).
        moment: by that clock.

    Returns:
        Values by row, (R,); NaN before the first point and behind the last.
    """
    known = ~np.isnan(clock)
    clock, curve = clock[known], curve[known]
    if not len(clock) or not clock[0] <= moment <= clock[-1]:
        return np.full(curve.shape[1], np.nan)
    after = int(np.searchsorted(clock, moment))
    if clock[after] == moment:
        return curve[after]
    share = (moment - clock[after - 1]) / (clock[after] - clock[after - 1])
    result: Array = (1 - share) * curve[after - 1] + share * curve[after]
    return result


def rise(step: Array, curve: Array) -> Array:
    """How much the curve, (T, R), rose in the last tenth of its steps, (T,), by row, (R,)."""
    last = float(np.nanmax(step, initial=0.0))
    return read_at(step, curve, last) - read_at(step, curve, 0.9 * last)
