"""How a signal-to-noise ratio grows or falls with the number of draws."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["log_slope"]


def log_slope(draws: ArrayLike, ratio: ArrayLike, error: ArrayLike) -> tuple[float, float]:
    r"""The slope of log SNR against log K with its standard error.

    .. math:: b = \sum_i c_i \log \mathrm{SNR}_i, \quad
        c_i = (\log K_i - m) / \sum_j (\log K_j - m)^2, \quad m = \mathrm{mean}_j \log K_j

    All points count alike, however well each is known: where the line bends, weights would say at
    which K. The points are independent.

    Args:
        draws: K, at least two different ones.
        ratio: the signal-to-noise ratios, positive.
        error: their standard errors.

    Returns:
        b and its standard error; NaN where a ratio is NaN, lost in the noise.

    Raises:
        ValueError: fewer than two K.
    """
    numbers, values = np.asarray(draws, dtype=float), np.asarray(ratio, dtype=float)
    if len(set(numbers.tolist())) < 2:
        raise ValueError(f"draws must be at least two different K; got {numbers.tolist()}.")
    centred = np.log(numbers) - np.log(numbers).mean()
    each = centred / (centred @ centred)
    relative = np.asarray(error, dtype=float) / values
    return float(each @ np.log(values)), float(np.sqrt(each**2 @ relative**2))
