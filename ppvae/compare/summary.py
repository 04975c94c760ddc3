"""The statistics of a comparison: from values by seed and row to a line for each estimator."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ppvae.compare.curves import read_at, rise
from ppvae.compare.statistics import UNITS
from ppvae.evaluate.pareto import share_above
from ppvae.intervals import Interval, paired_interval, standard_error
from ppvae.verdict import Outcome, unconverged, verdict

__all__ = ["CONFIDENCE", "groups", "summarized", "verdict_on"]

Array = NDArray[np.float64]

CONFIDENCE = 0.95

_READINGS = ("difference", "difference_at_equal_seconds")
_ENDS = ("", "_low", "_high")
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
                    ends = [f"{column}{end}" for end in _ENDS]
                    lines[name] |= dict(zip(ends, interval, strict=True))
        _mark_unconverged([_outcome(name, lines[name]) for name in names], lines)
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
    lines = {name: summary.sel(estimator=name).to_series().to_dict() for name in names}
    return verdict([_outcome(name, line) for name, line in lines.items()])


def _outcome(name: str, line: Mapping[str, float]) -> Outcome:
    ends = ([line.get(f"{each}{end}", math.nan) for end in _ENDS] for each in _READINGS)
    steps, seconds = (Interval(*each) for each in ends)
    return Outcome(name, line["rising"], steps, seconds)


def _mark_unconverged(outcomes: list[Outcome], lines: dict[str, dict[str, float]]) -> None:
    """Mark who still moved by the rule of the verdict; without intervals nobody is known to."""
    if all(math.isnan(each.steps.low) for each in outcomes):
        return
    movers = unconverged(outcomes)
    for each in outcomes:
        if not math.isnan(each.rising):
            lines[each.name]["unconverged"] = float(each.name in movers)


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
    for name in ("gap", "gap_exact"):
        if name in own:
            line[name] = _mean(own[name].values)
            line[f"{name}_se"] = _error_of_gap(own[name].values, own[f"{name}_se"].values)
    if "khat" in own:
        line |= _khat(_rows(own.khat.values), int(own.attrs["num_particles"]))
    return line | {n: _mean(own[n].values) for n in ("own_bound", "active_units", "ms_per_step")}


def _error_of_gap(gaps: Array, errors: Array) -> float:
    """The standard error of a mean over seeds, (S,), from the spread and the errors over draws.

    All seeds are judged at the same draws of noise, so that seeds do not average their errors.
    """
    by_seed = float(gaps.var(ddof=1) / len(gaps)) if len(gaps) > 1 else 0.0
    return math.sqrt(by_seed + float(np.square(errors).mean()))


def _khat(values: Array, num_draws: int) -> dict[str, float]:
    known = values[~np.isnan(values)]
    if not known.size:
        return {}
    # By rank: between minus infinity and a number there is no mean.
    middle = float(np.quantile(known, 0.5, method="lower"))
    return {"khat": middle, "khat_above": share_above(known, num_draws)}


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
