"""The statistics of a comparison: from values by seed and row to a line for each estimator."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ppvae.compare.curves import read_at, rise
from ppvae.intervals import Interval, paired_interval, standard_error
from ppvae.verdict import Outcome, verdict

__all__ = ["CONFIDENCE", "UNITS", "groups", "summarized", "verdict_on"]

Array = NDArray[np.float64]

CONFIDENCE = 0.95

# The columns of a summary, in the order of the table, with their units.
UNITS = {
    "own_bound": "nats per datum",
    "elbo": "nats per datum",
    "log_evidence": "nats per datum",
    "log_evidence_se": "nats per datum",
    "log_evidence_exact": "nats per datum",
    "difference": "nats per datum",
    "difference_low": "nats per datum",
    "difference_high": "nats per datum",
    "difference_at_equal_seconds": "nats per datum",
    "difference_at_equal_seconds_low": "nats per datum",
    "difference_at_equal_seconds_high": "nats per datum",
    "equal_seconds": "s",
    "kl": "nats per datum",
    "active_units": "1",
    "rising": "nats per datum",
    "rising_se": "nats per datum",
    "ms_per_step": "ms",
    "seconds": "s",
}
_READINGS = ("difference", "difference_at_equal_seconds")
_UNKNOWN = Interval(math.nan, math.nan, math.nan)


def summarized(runs: xr.Dataset) -> xr.DataArray:
    """The summary of all runs, (estimator, statistic), the statistics as in ``UNITS``.

    A difference is to the first estimator on the same data, paired by seed and row. The M
    intervals of one data set hold together with 95 % confidence at equal steps, and again at equal
    seconds: each by itself has 1 - 0.05 / M (Bonferroni).
    """
    lines: dict[str, dict[str, float]] = {}
    for names in groups(runs):
        confidence = 1 - (1 - CONFIDENCE) / max(1, len(names) - 1)
        moments = _fastest(runs.sel(estimator=names))
        first = runs.sel(estimator=names[0])
        for name in names:
            own = runs.sel(estimator=name)
            lines[name] = _levels(own) | {"equal_seconds": float(moments.mean())}
            if name != names[0]:
                differences = (
                    own.log_evidence.values - first.log_evidence.values,
                    _at_seconds(own, moments) - _at_seconds(first, moments),
                )
                for column, each in zip(_READINGS, differences, strict=True):
                    interval = _interval(_rows(each), confidence)
                    ends = (column, f"{column}_low", f"{column}_high")
                    lines[name] |= dict(zip(ends, interval, strict=True))
    labels = [str(label) for label in runs.estimator.values]
    return xr.DataArray(
        [[lines[label].get(column, math.nan) for column in UNITS] for label in labels],
        dims=["estimator", "statistic"],
        coords={
            "estimator": labels,
            "statistic": list(UNITS),
            "unit": ("statistic", [*UNITS.values()]),
        },
    )


def groups(runs: xr.Dataset) -> list[list[str]]:
    """The estimators that were run on the same data, in order."""
    found: dict[str, list[str]] = {}
    for label, data in zip(runs.estimator.values, runs.data.values, strict=True):
        found.setdefault(str(data), []).append(str(label))
    return list(found.values())


def verdict_on(summary: xr.DataArray, names: list[str]) -> str:
    """The verdict on estimators that were run on the same data, the first of them first."""
    outcomes = []
    for name in names:
        line = summary.sel(estimator=name).to_series()
        steps, seconds = (
            Interval(line[each], line[f"{each}_low"], line[f"{each}_high"]) for each in _READINGS
        )
        outcomes.append(Outcome(name, line["rising"], steps, seconds))
    return verdict(outcomes)


def _levels(own: xr.Dataset) -> dict[str, float]:
    evidence = _rows(own.log_evidence.values)
    rising = _rows(_by_seed(rise, own.step.values, own.curve.values))
    line = {
        "elbo": _mean(_rows(own.elbo.values)),
        "log_evidence": _mean(evidence),
        "log_evidence_se": standard_error(evidence),
        "kl": _mean(own.kl.values),
        "seconds": _mean(np.fmax.reduce(own.seconds.values, axis=1)),
        "rising": _mean(rising),
        "rising_se": standard_error(rising),
    }
    if "log_evidence_exact" in own:
        line["log_evidence_exact"] = _mean(_rows(own.log_evidence_exact.values))
    return line | {n: _mean(own[n].values) for n in ("own_bound", "active_units", "ms_per_step")}


def _fastest(runs: xr.Dataset) -> Array:
    """For each seed, the training seconds of the estimator that needed least of them, (S,)."""
    needed = np.fmax.reduce(runs.seconds.values, axis=2)
    moments: Array = np.fmin.reduce(needed, axis=0)
    return moments


def _at_seconds(own: xr.Dataset, moments: Array) -> Array:
    return _by_seed(read_at, own.seconds.values, own.curve.values, moments)


def _by_seed(read: Callable[..., Array], *arrays: Array) -> Array:
    return np.stack([read(*each) for each in zip(*arrays, strict=True)])


def _rows(values: Array) -> Array:
    """Values by seed and row, (S, R), without the rows that only other data have."""
    return values[:, ~np.isnan(values).all(0)]


def _interval(differences: Array, confidence: float) -> Interval:
    return paired_interval(differences, confidence) if differences.size else _UNKNOWN


def _mean(values: Array) -> float:
    return float(values.mean()) if values.size else math.nan
