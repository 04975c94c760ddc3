"""A held-out curve, read at a moment between its points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

__all__ = ["read_at", "rise"]

Array = NDArray[np.float64]


def read_at(clock: Array, curve: Array, moment: float) -> Array:
    """The curve at a moment, on the monotone cubic through its points (PCHIP).

    A straight line would lie below a curve that levels off, and most where it is steep: there the
    slow estimators are at equal seconds. The cubic never leaves what the points around it span.

    Args:
        clock: steps or seconds at the points, (T,), growing; NaN behind the last one.
        curve: values at the points by row, (T, R).
        moment: by that clock.

    Returns:
        Values by row, (R,); NaN before the first point and behind the last, and for a row that is
        not finite at every point.
    """
    clock, curve = clock[~np.isnan(clock)], curve[~np.isnan(clock)]
    values = np.full(curve.shape[1], np.nan)
    if len(clock) > 1 and clock[0] <= moment <= clock[-1]:
        finite = np.isfinite(curve).all(0)
        values[finite] = PchipInterpolator(clock, curve[:, finite])(moment)
    return values


def rise(step: Array, curve: Array) -> Array:
    """How much the curve, (T, R), rose in the last tenth of its steps, (T,), by row, (R,)."""
    last = float(np.nanmax(step, initial=0.0))
    return read_at(step, curve, last) - read_at(step, curve, 0.9 * last)
