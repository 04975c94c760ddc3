"""How far a guide's ELBO lies below log p(x), and what part of that is amortization's."""

from __future__ import annotations

from functools import partial

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ppvae.evaluate import evaluate
from ppvae.refine import Refined

__all__ = ["inference_gaps"]

_WORDS = {
    "log_evidence": "log p(x)",
    "elbo_amortized": "ELBO of the amortized guide, L[q]",
    "elbo_refined": "ELBO of the refined guide, L[q*]",
    "approximation_gap": "log p(x) - L[q*]",
    "amortization_gap": "L[q*] - L[q]",
    "inference_gap": "log p(x) - L[q]",
}


def inference_gaps(
    refined: Refined, *, num_particles: int = 1000, seed: int = 0, compile: str = "auto"
) -> xr.Dataset:
    r"""The gap between log p(x) and the ELBO of an amortized guide, in its two parts.

    .. math:: \log p(x) - L[q] =
        \underbrace{\log p(x) - L[q^*]}_{\text{approximation}} +
        \underbrace{L[q^*] - L[q]}_{\text{amortization}}

    q* is the refined guide: the best of its family for each datum, as far as the refinement came.
    log p(x) is the experiment's exact one where it knows it; else the importance-weighted estimate
    from draws of q*, in expectation a lower bound, so that the approximation gap is one too:
    ``khat`` says in which rows it is not to be trusted.

    Args:
        refined: what :func:`ppvae.refine` returned.
        num_particles: K, draws from each of the guides for each datum.
        seed: of the draws.
        compile: as in :func:`ppvae.evaluate`.

    Returns:
        By ``row``, in nats: ``log_evidence``, ``elbo_amortized``, ``elbo_refined``,
        ``approximation_gap``, ``amortization_gap`` and ``inference_gap``, each with its standard
        error over draws ``..._se``, its mean over rows ``..._mean`` and the standard error of that
        over rows, ``..._mean_se``. ``khat`` is of the weights of q*. ``attrs["log_evidence"]`` is
        "exact" or "estimated".

    Raises:
        ValueError: an argument breaks a rule of :func:`ppvae.evaluate`.

    Source: Cremer, Li & Duvenaud (2018), Inference suboptimality in variational autoencoders,
    arXiv:1801.03558, table 1.
    """
    judge = partial(evaluate, num_particles=num_particles, seed=seed, compile=compile)
    source = refined.source if hasattr(refined.source, "experiment") else refined.amortized
    before = judge(source, dict(refined.batch))
    after = judge(refined.pair, dict(refined.batch))
    exact = "log_evidence_exact" in before
    log_evidence = before["log_evidence_exact"] if exact else after["log_evidence"]
    error = np.zeros(len(log_evidence)) if exact else after["log_evidence_se"].values
    values = {
        "log_evidence": (log_evidence.values, error),
        "elbo_amortized": _with_error(before, "elbo"),
        "elbo_refined": _with_error(after, "elbo"),
    }
    parts = {
        "approximation_gap": ("log_evidence", "elbo_refined"),
        "amortization_gap": ("elbo_refined", "elbo_amortized"),
        "inference_gap": ("log_evidence", "elbo_amortized"),
    }
    for name, (more, less) in parts.items():
        values[name] = _difference(values[more], values[less])
    found = xr.Dataset(coords={"row": before["row"].values})
    for name, (of_rows, errors) in values.items():
        _add(found, name, of_rows, errors)
    if "khat" in after:
        found["khat"] = ("row", after["khat"].values, {"units": "1"})
    how = "exact" if exact else "estimated"
    return found.assign_attrs(num_particles=num_particles, seed=seed, log_evidence=how)


Floats = NDArray[np.float64]


def _with_error(found: xr.Dataset, name: str) -> tuple[Floats, Floats]:
    return found[name].values, found[f"{name}_se"].values


def _difference(more: tuple[Floats, Floats], less: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    """Of numbers from independent draws; from the same draws their errors partly cancel."""
    return more[0] - less[0], np.hypot(more[1], less[1])


def _add(found: xr.Dataset, name: str, of_rows: Floats, errors: Floats) -> None:
    words = {"units": "nats", "long_name": _WORDS[name]}
    found[name] = ("row", of_rows, words)
    found[f"{name}_se"] = ("row", errors, {"units": "nats"})
    found[f"{name}_mean"] = ((), of_rows.mean(), words)
    spread = of_rows.std(ddof=1) if len(of_rows) > 1 else np.nan
    found[f"{name}_mean_se"] = ((), spread / np.sqrt(len(of_rows)), {"units": "nats"})
