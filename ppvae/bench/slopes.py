"""How a signal-to-noise ratio grows or falls with the number of draws."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["log_slope"]


def log_slope(draws: ArrayLike, ratio: ArrayLike, error: ArrayLike) -> tuple[float, float]:
    r"""The slope of log SNR against log K with its standard error.

    .. math:: \log \mathrm{SNR}_K = a + b \log K

    by least squares, each point weighed by 1 / (s.e. of log SNR)^2; the points are independent.

    Args:
        draws: K, at least two different ones.
        ratio: the signal-to-noise ratios, positive.
        error: their standard errors, positive.

    Returns:
        b and its standard error; NaN where a ratio is NaN, lost in the noise.

    Raises:
        ValueError: fewer than two K.
    """
    x, y = np.log(np.asarray(draws, dtype=float)), np.log(np.asarray(ratio, dtype=float))
    if len(set(x.tolist())) < 2:
        raise ValueError(f"draws must be at least two different K; got {list(np.exp(x))}.")
    weight = (np.asarray(ratio, dtype=float) / np.asarray(error, dtype=float)) ** 2
    centred = x - float(weight @ x / weight.sum())
    spread = float(weight @ centred**2)
    return float(weight @ (centred * y)) / spread, 1 / math.sqrt(spread)
