"""How sure a difference is that was seen on a few seeds and some rows."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

__all__ = ["Interval", "decimal", "paired_interval", "standard_error"]

Array = NDArray[np.float64]


class Interval(NamedTuple):
    """A value and the two ends between which the truth is claimed to lie; NaN where unknown."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        # The end nearer to zero is what a claim rests on: it must not read as zero.
        least, most = sorted((abs(self.low), abs(self.high)))
        like = least if self.low * self.high > 0 else most
        value, low, high = (decimal(each, like, "+") for each in self)
        return value if math.isnan(self.low) else f"{value} [{low}, {high}]"


def decimal(value: float, like: float, sign: str = "") -> str:
    """A number with two decimals, or with as many as show two figures of another small one."""
    small = 0 < abs(like) < 0.005
    digits = min(1 - math.floor(math.log10(abs(like))), 6) if small else 2
    return f"{value:{sign}.{digits}f}"


def paired_interval(differences: Array, confidence: float = 0.95) -> Interval:
    r"""A confidence interval of the mean difference of two things on the same seeds and rows.

    Other seeds would move the mean, and so would other rows: these are crossed random effects.
    With v_S the variance of the S seeds' means over S, and v_R that of the R rows' means over R,

    .. math:: \bar d \pm \sqrt{t_{S-1}^2 v_S + t_{R-1}^2 v_R}

    Each part has the quantile t of its own degrees of freedom. For normal means it covers at least
    as often as it says, with two seeds too: chi-squared with one degree of freedom has a concave
    distribution function, so that the coverage is no less than the average of the coverages that
    each part has by itself, and what varies with seed and row together counts in both parts.
    Degrees of freedom pooled after Satterthwaite cover less: three seeds that happen to agree
    would then pass for certainty.

    Args:
        differences: by seed and row, (S, R).
        confidence: how often such intervals hold the truth.

    Returns:
        The interval; without ends where S or R is 1, as one alone shows no spread.
    """
    value = float(differences.mean())
    if min(differences.shape) < 2:
        return Interval(value, math.nan, math.nan)
    seeds, rows = (float(stdtrit(size - 1, 0.5 + confidence / 2)) for size in differences.shape)
    by_seed, by_row = _variances(differences)
    half = math.sqrt(seeds**2 * by_seed + rows**2 * by_row)
    return Interval(value, value - half, value + half)


def standard_error(values: Array) -> float:
    """The standard error of the mean of values by seed and row, (S, R), over other seeds and rows.

    With one seed it is that of the rows alone, with one row that of the seeds; NaN with one value.
    """
    if values.size < 2:
        return math.nan
    return math.sqrt(sum(_variances(values)))


def _variances(values: Array) -> tuple[float, float]:
    """Of the mean: the part that the seeds bring, and the part that the rows bring."""
    return _variance(values.mean(1)), _variance(values.mean(0))


def _variance(means: Array) -> float:
    return float(means.var(ddof=1) / len(means)) if len(means) > 1 else 0.0
