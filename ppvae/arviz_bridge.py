"""ArviZ in both of its forms: 0.23 with its InferenceData, 1.x with xarray's DataTree."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

__all__ = ["arviz_version", "as_container", "convergence", "smoothed_shape"]


def as_container(groups: Mapping[str, xr.Dataset], attrs: Mapping[str, str | int | float]) -> Any:
    """Groups of variables as what the installed ArviZ works on.

    Args:
        groups: by ArviZ's names, "posterior", "log_likelihood", ...; dimensions "chain" and
            "draw" first where there are draws.
        attrs: of the whole.

    Returns:
        An ``arviz.InferenceData`` (ArviZ 0.23) or an ``xarray.DataTree`` (ArviZ 1.x).
    """
    arviz = _arviz()
    if _has_inference_data(arviz):
        return arviz.InferenceData(attrs=dict(attrs), **groups)
    tree = xr.DataTree.from_dict(dict(groups))
    tree.attrs = dict(attrs)
    return tree


def smoothed_shape(log_weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """The shape k of a generalized Pareto distribution fitted to the largest weights (PSIS).

    Args:
        log_weight: log-weights of independent draws, (..., K) nats.

    Returns:
        k-hat, (...).
    """
    arviz = _arviz()
    with np.errstate(all="ignore"):
        if _has_inference_data(arviz):
            return np.asarray(arviz.psislw(log_weight)[1])
        from arviz_stats.base import array_stats

        # ArviZ 1.x takes log-likelihoods, whose weights for leaving a datum out are 1 / p(x|z).
        return np.asarray(array_stats.psislw(-log_weight)[1])


def convergence(draws: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Whether chains of draws agree, and how many independent draws they are worth.

    Args:
        draws: of each of D quantities, (chains, draws, D).

    Returns:
        Split r-hat, 1 where chains agree, and effective sample size (bulk), (D,) each.
    """
    arviz = _arviz()
    if _has_inference_data(arviz):
        ask = arviz.rhat, arviz.ess
    else:
        from arviz_stats.base import array_stats

        ask = array_stats.rhat, array_stats.ess
    rhat, ess = ([float(of(draws[..., i])) for i in range(draws.shape[-1])] for of in ask)
    return np.array(rhat), np.array(ess)


def arviz_version() -> str:
    """The version of ArviZ that is installed."""
    return str(_arviz().__version__)


def _has_inference_data(arviz: ModuleType) -> bool:
    # By version: asked for its old names, ArviZ 1.x answers with a warning.
    return int(arviz.__version__.split(".")[0]) < 1


def _arviz() -> ModuleType:
    with warnings.catch_warnings():
        # ArviZ 0.23 announces ArviZ 1.x at import; both are supported here.
        warnings.simplefilter("ignore", FutureWarning)
        try:
            import arviz
        except FileNotFoundError:
            # Its first import of a day moves a stamp, and another process has just moved the same.
            import arviz
    return arviz
