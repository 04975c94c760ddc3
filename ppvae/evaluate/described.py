"""What was found of rows, as a dataset with names, units and standard errors."""

from __future__ import annotations

import math

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from ppvae.evaluate.coordinates import ACTIVE, Coordinate, activity, labels_of
from ppvae.evaluate.pareto import LEAST_DRAWS, khat_threshold, share_above
from ppvae.evaluate.scoring import Scored

__all__ = ["add_coordinates", "add_share_above", "by_row", "joined"]

_WORDS = {
    "log_evidence": "estimate of log p(x) from K draws, a lower bound in expectation",
    "log_evidence_exact": "log p(x), exact",
    "elbo": "evidence lower bound",
    "reconstruction": "E_q[log p(x|z)]",
    "kl": "KL(q(z|x) || p(z))",
    "ess": "effective sample size of the K weights",
    "khat": "Pareto k-hat of the K weights",
    "bits_per_dim": "-log_evidence / (P ln 2)",
}
_UNITS = {"ess": "draws", "khat": "1", "bits_per_dim": "bits per value of x"}


def joined(parts: list[Scored]) -> dict[str, NDArray[np.float64]]:
    """The values of all parts by name, each (N,)."""
    names = parts[0].values
    return {n: torch.cat([part.values[n] for part in parts]).cpu().numpy() for n in names}


def by_row(
    values: dict[str, NDArray[np.float64]], row: NDArray[np.int64], shared: bool = False
) -> xr.Dataset:
    """Values per datum, (N,), with their means over rows and the errors of these.

    Args:
        values: by name, each (N,); "elbo_se" is the standard error over draws of "elbo".
        row: each row's number in the data set, (N,).
        shared: whether rows have draws in common, so that their errors do not average out.
    """
    found = xr.Dataset(coords={"row": ("row", row)})
    for name, of_rows in values.items():
        kind = name.removesuffix("_se")
        error = "standard error over draws of " if kind != name else ""
        words = {"units": _UNITS.get(kind, "nats"), "long_name": error + _WORDS[kind]}
        found[name] = ("row", of_rows, words)
        if error or name in ("ess", "khat"):
            continue
        for suffix, mean in _means(of_rows, values.get(f"{name}_se"), shared).items():
            found[f"{name}_{suffix}"] = ((), mean, {"units": words["units"]})
    return found


def add_share_above(found: xr.Dataset, num_particles: int) -> list[str]:
    """Add how many rows have too large a k-hat; return why it is left out, if it is."""
    if "log_evidence" not in found:
        return []
    if "khat" not in found:
        return [f"khat is left out: it needs at least {LEAST_DRAWS} draws."]
    threshold = khat_threshold(num_particles)
    words = {
        "units": "1",
        "long_name": f"share of rows whose khat is above {threshold:.2f}",
        "threshold": threshold,
    }
    found["khat_share_above"] = ((), share_above(found["khat"].values, num_particles), words)
    return []


def _means(
    of_rows: NDArray[np.float64], errors: NDArray[np.float64] | None, shared: bool
) -> dict[str, np.float64]:
    """Mean over rows, its standard error, and the part of the draws in that."""
    known = of_rows[~np.isnan(of_rows)]
    size = len(known)
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = known.std(ddof=1) if size > 1 else np.float64(math.nan)
        means = {"mean": known.sum() / size, "mean_se": spread / np.sqrt(size)}
        if errors is not None:
            # The error of a sum is at most the sum of errors, whatever goes with what.
            total = errors.sum() if shared else np.sqrt(np.square(errors).sum())
            means["mean_draws_se"] = total / size
    return means


def add_coordinates(found: xr.Dataset, parts: list[Scored], has_kl: bool) -> list[str]:
    """Add what is known by coordinate; return why anything of it is left out."""
    sites = {
        name: _stacked([part.coordinates[name] for part in parts]) for name in parts[0].coordinates
    }
    if not sites:
        return []
    notes = []
    found["latent"] = [label for name, site in sites.items() for label in labels_of(name, site)]
    if has_kl:
        without = [name for name, site in sites.items() if site.kl is None]
        if without:
            where = " and ".join(filter(None, [", ".join(without[:-1]), without[-1]]))
            notes.append(
                f"kl_by_dim is left out at {where}: q and p have no closed KL by coordinate there."
            )
        by_dim = [_mean_kl(site) for site in sites.values()]
        found["kl_by_dim"] = ("latent", np.concatenate(by_dim), {"units": "nats"})
    spread = np.concatenate([activity(s.loc, s.noise).cpu().numpy() for s in sites.values()])
    if np.isnan(spread).any():
        return [*notes, "active is left out: it needs at least 2 rows and 2 draws."]
    found["activity"] = ("latent", spread, {"long_name": "variance over rows of E_q[z|x]"})
    found["active"] = ("latent", spread > ACTIVE, {"long_name": f"activity above {ACTIVE}"})
    return notes


def _stacked(parts: list[Coordinate]) -> Coordinate:
    kl = [part.kl for part in parts if part.kl is not None]
    return Coordinate(
        torch.cat([part.loc for part in parts]),
        torch.cat([part.noise for part in parts]),
        torch.cat(kl) if len(kl) == len(parts) else None,
    )


def _mean_kl(site: Coordinate) -> NDArray[np.float64]:
    if site.kl is None:
        return np.full(site.loc.shape[-1], math.nan)
    return site.kl.mean(0).cpu().numpy()
