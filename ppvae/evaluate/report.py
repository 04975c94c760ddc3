"""An evaluation as a block of text."""

from __future__ import annotations

import math

import numpy as np
import xarray as xr

__all__ = ["summary"]


def summary(found: xr.Dataset) -> str:
    """What was found of a pair, a line for each quantity, with units and standard errors.

    Args:
        found: what :func:`ppvae.evaluate.evaluate` returned.
    """
    lines = [_title(found)]
    draws = found.attrs["num_particles"]
    if "log_evidence" in found:
        # The one estimate whose error over draws is not drowned by the spread of the rows.
        alone = _number(found, "log_evidence_mean_draws_se")
        note = f"IWAE-{draws}, a lower bound in expectation; s.e. over draws alone {alone:.2g}"
        lines.append(_line(found, "log p(x) at least", "log_evidence", note))
    if "log_evidence_exact" in found:
        lines.append(_line(found, "log p(x), exact", "log_evidence_exact", _gap(found)))
    if "elbo" in found:
        lines.append(_line(found, "ELBO", "elbo"))
    lines.append(_line(found, "reconstruction", "reconstruction", "E_q[log p(x|z)]"))
    if "kl" in found:
        lines.append(_line(found, "KL(q || p)", "kl", found.attrs["kl"]))
    if "bits_per_dim" in found:
        lines.append(_line(found, "bits per dim", "bits_per_dim", _of_data(found), "bits", 4))
    if "ess" in found:
        middle = float(found["ess"].median())
        lines.append(f"{'effective draws':<17}{middle:10.1f} of {draws} in the median row")
    if "khat" in found:
        lines.append(_khat(found))
    if "active" in found:
        active, units = int(found["active"].sum()), found.sizes["latent"]
        lines.append(f"{'active units':<17}{active:10d} of {units}  (variance of E_q[z|x] > 0.01)")
    if found.attrs["note"]:
        lines.append(found.attrs["note"])
    return "\n".join(lines)


def _title(found: xr.Dataset) -> str:
    attrs = found.attrs
    rows = f"{found.sizes['row']} {attrs['split']} rows".replace("  ", " ")
    of = f" of {attrs['data']}" if attrs["data"] else ""
    return (
        f"{rows}{of}, {attrs['num_particles']} draws each, seed {attrs['seed']}; "
        "mean over rows ± its standard error"
    )


def _line(
    found: xr.Dataset, label: str, name: str, note: str = "", unit: str = "nats", digits: int = 3
) -> str:
    mean, error = _number(found, f"{name}_mean"), _number(found, f"{name}_mean_se")
    text = f"{label:<17}{mean:10.{digits}f} ± {error:.{digits}f} {unit}"
    return f"{text}  ({note})" if note else text


def _khat(found: xr.Dataset) -> str:
    """The middle of k-hat over rows, and in how many the weights are not to be trusted."""
    known = found["khat"].dropna("row")
    if not len(known):
        return f"{'Pareto k-hat':<17}{'-':>10} (the weights of a row have few different values)"
    above = found["khat_share_above"]
    return (
        f"{'Pareto k-hat':<17}{float(known.median()):10.2f} in the median row; above "
        f"{above.attrs['threshold']:.2f}, where log p(x) is not to be trusted, in "
        f"{float(above) * len(known):.0f} rows"
    )


def _gap(found: xr.Dataset) -> str:
    gap = (found["log_evidence_exact"] - found["log_evidence"]).to_numpy()
    error = gap.std(ddof=1) / math.sqrt(len(gap)) if len(gap) > 1 else math.nan
    return f"minus the estimate, by row: {np.mean(gap):.2g} ± {error:.2g}"


def _of_data(found: xr.Dataset) -> str:
    kind = found.attrs["binarize"]
    return "of the binarised data" if kind in ("dynamic", "once", "fixed") else ""


def _number(found: xr.Dataset, name: str) -> float:
    return float(found[name])
