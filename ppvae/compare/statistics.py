"""The columns of a comparison: what each number is, and in which unit."""

from __future__ import annotations

import xarray as xr

__all__ = ["UNITS", "WORDS", "as_variables"]

_NATS = "nats per datum"
_VERSUS = "log p(x) above that of the first estimator, paired by seed and row"
_AT_SECONDS = "the same at equal seconds of training, on validation rows"

# In the order of the table.
UNITS = {
    "own_bound": _NATS,
    "elbo": _NATS,
    "log_evidence": _NATS,
    "log_evidence_se": _NATS,
    "log_evidence_exact": _NATS,
    "difference": _NATS,
    "difference_low": _NATS,
    "difference_high": _NATS,
    "difference_at_equal_seconds": _NATS,
    "difference_at_equal_seconds_low": _NATS,
    "difference_at_equal_seconds_high": _NATS,
    "equal_seconds": "s",
    "gap": _NATS,
    "gap_se": _NATS,
    "gap_exact": _NATS,
    "gap_exact_se": _NATS,
    "khat": "1",
    "khat_above": "1",
    "kl": _NATS,
    "active_units": "1",
    "rising": _NATS,
    "rising_se": _NATS,
    "unconverged": "1",
    "ms_per_step": "ms",
    "seconds": "s",
}
WORDS = {
    "own_bound": "the estimator's own bound of test rows",
    "elbo": "evidence lower bound of test rows",
    "log_evidence": "log p(x) of test rows by importance weighting",
    "log_evidence_se": "its standard error over seeds and rows",
    "log_evidence_exact": "log p(x) of test rows, exact",
    "difference": _VERSUS,
    "difference_low": "lower end of its interval",
    "difference_high": "upper end of its interval",
    "difference_at_equal_seconds": _AT_SECONDS,
    "difference_at_equal_seconds_low": "lower end of its interval",
    "difference_at_equal_seconds_high": "upper end of its interval",
    "equal_seconds": "how long the fastest estimator trained",
    "gap": "log p(x) of test rows by importance weighting, minus the own bound",
    "gap_se": "its standard error over seeds and draws",
    "gap_exact": "log p(x) of test rows, exact, minus the own bound",
    "gap_exact_se": "its standard error over seeds and draws",
    "khat": "Pareto k-hat of the weights, median over seeds and test rows",
    "khat_above": "share of seeds and test rows whose k-hat is above its threshold",
    "kl": "KL(q(z|x) || p(z)) of test rows",
    "active_units": "coordinates of the code whose mean moves with x",
    "rising": "how much the held-out curve rose in the last tenth of the steps",
    "rising_se": "its standard error over seeds and rows",
    "unconverged": "1 where that is more than the differences at stake",
    "ms_per_step": "time of a step",
    "seconds": "time of the training, without evaluation",
}


def as_variables(summary: xr.DataArray) -> xr.Dataset:
    """A summary, (estimator, statistic), with a variable for each statistic, (estimator,)."""
    bare = summary.drop_vars("unit")
    return xr.Dataset(
        {
            name: bare.sel(statistic=name, drop=True).assign_attrs(
                units=unit, long_name=WORDS[name]
            )
            for name, unit in UNITS.items()
        }
    )
