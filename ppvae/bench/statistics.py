r"""Pooled statistics of gradients, with standard errors.

With g_1, ..., g_n independent gradients of a block, mu and V their mean and total variance (the
trace of their covariance), e the gradient they are held against:

    |mu|^2      = (|sum g|^2 - sum |g|^2) / (n (n - 1))    over pairs of different draws
    V           = sum |g|^2 / n - |mu|^2
    SNR         = |mu| / sqrt(V)
    |mu - e|^2  = mean of (g_s - e)(g_t - e) over pairs of different batches s, t of draws
    cosine      = mu e / (|mu| |e|)

All but the roots and ratios are unbiased. The plain |mean of g| / sd has instead a floor of
1 / sqrt(n) where there is no signal at all. A root of what came out negative is NaN: the noise is
larger than what is measured. Without any noise the SNR is infinite.

Standard errors are those of the jackknife over batches of draws: each statistic is computed again
without each of the S batches, and s.e.^2 = (S - 1) / S sum (theta_s - mean theta)^2. That of a root
is the one of its square over twice the root.

Source: Efron & Stein (1981), The jackknife estimate of variance.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ppvae.bench.sums import Products

__all__ = ["STATISTICS", "deviation", "jackknifed", "statistics"]

Array = NDArray[np.float64]

# What is computed of a block, with its unit in powers of the gradient's own.
STATISTICS = ("mean_norm", "variance", "snr", "bias_squared", "bias", "cosine")


def statistics(of: Products) -> Array:
    """The pooled statistics in the order of STATISTICS; NaN where they are not known."""
    return _rooted(_smooth(of))


def jackknifed(of: Products) -> tuple[Array, Array]:
    """The pooled statistics and their standard errors; the latter NaN below three batches."""
    batches = len(of.weight)
    if batches < 3:
        return statistics(of), np.full(len(STATISTICS), math.nan)
    again = np.array([_smooth(of.without(batch)) for batch in range(batches)])
    with np.errstate(invalid="ignore"):
        # Of infinite ratios there is no spread.
        errors = np.sqrt(((again - again.mean(0)) ** 2).sum(0) * (batches - 1) / batches)
    values = statistics(of)
    signal, variance, ratio, bias, cosine = errors
    # A root of what is only just positive has no jackknife: by its slope instead.
    roots = dict(zip(("mean_norm", "snr", "bias"), (signal, ratio, bias), strict=True))
    by_name = {"variance": variance, "bias_squared": bias, "cosine": cosine}
    by_name |= {
        name: _ratio(error, 2 * values[STATISTICS.index(name)]) for name, error in roots.items()
    }
    return values, np.array([by_name[name] for name in STATISTICS])


def _smooth(of: Products) -> Array:
    """|mu|^2, V, |mu|^2 / V, |mu - e|^2 and the cosine."""
    total = float(of.weight.sum())
    square = float(of.weight @ of.square)
    if total < 2:
        return np.full(5, math.nan)
    signal = float(of.weight @ of.own @ of.weight - square) / (total * (total - 1))
    variance = square / total - signal
    if abs(variance) <= of.precision * square / total:
        # Draws that are all the same, as where everything is summed out: no noise but rounding.
        variance = 0.0
    found = [signal, variance, _ratio(signal, variance)]
    if of.apart is None or of.other is None or of.between is None or len(of.weight) < 2:
        return np.array([*found, math.nan, math.nan])
    bias = _off_diagonal(of.apart, of.weight)
    along = _off_diagonal(of.between, of.weight)
    lengths = _root(signal) * _root(_off_diagonal(of.other, of.weight))
    return np.array([*found, bias, _ratio(along, lengths)])


def _rooted(smooth: Array) -> Array:
    signal, variance, ratio, bias, cosine = map(float, smooth)
    return np.array([_root(signal), variance, _root(ratio), bias, _root(bias), cosine])


def deviation(of: Products, rounding: float) -> float:
    r"""By how many standard errors the mean lies away from what it is held against.

    The batches are gone through in order, and each deviation is projected on the direction in
    which the batches before it deviate together. Where there is no bias these numbers have mean
    zero whatever the direction; where there is one they are about as large as it is.

    .. math:: z = \sum_s x_s / \sqrt{\sum_s (x_s - \bar x)^2 \, S / (S - 1)}, \quad
        x_s = d_s \cdot \sum_{t < s} d_t / |\sum_{t < s} d_t|

    Args:
        of: with what the gradient is held against.
        rounding: how large a bias rounding alone may make; counted as an error.

    Returns:
        z, large and positive if there is a bias; NaN without something to hold against, or with
        fewer than three batches.
    """
    if of.apart is None or len(of.weight) < 3:
        return math.nan
    sums = of.apart * of.weight[:, None] * of.weight
    projected = []
    for batch in range(1, len(sums)):
        length = _root(float(sums[:batch, :batch].sum()))
        along = float(sums[batch, :batch].sum()) / of.weight[batch]
        projected.append(along / length if length > 0 else 0.0)
    mean = float(np.mean(projected))
    error = float(np.std(projected, ddof=1)) / math.sqrt(len(projected))
    return mean / math.hypot(error, rounding) if rounding or error else 0.0


def _off_diagonal(products: Array, weight: Array) -> float:
    """The mean over pairs of different batches, weighted by their draws."""
    pairs = np.outer(weight, weight)
    np.fill_diagonal(pairs, 0.0)
    return float((pairs * products).sum() / pairs.sum())


def _root(value: float) -> float:
    """The root; NaN below zero."""
    return math.sqrt(value) if value >= 0 else math.nan


def _ratio(value: float, over: float) -> float:
    if over == 0 and value > 0:
        return math.inf
    return value / over if over > 0 else math.nan
