"""The numbers of all estimators and blocks in one dataset."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np
import pyro
import pyro.infer
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from ppvae.bench.blocks import Blocks
from ppvae.bench.statistics import STATISTICS, deviation, jackknifed, statistics
from ppvae.bench.sums import BatchMeans
from ppvae.bench.targets import biased_for, claims_unbiased, exact_of, target
from ppvae.named import name_of

__all__ = ["Measured", "assembled"]

# Rounding of a sum of many terms, in units of the last place of the numbers that go into it.
_ROUNDING = 100

_UNITS = {
    "mean_norm": "nats per unit of the parameters",
    "bias": "nats per unit of the parameters",
    "bias_squared": "nats^2 per unit^2 of the parameters",
    "bias_z": "standard errors",
    "variance": "nats^2 per unit^2 of the parameters",
    "snr": "1",
    "cosine": "1",
    "variance_time": "nats^2 per unit^2 of the parameters, times ms",
    "bound": "nats per datum",
    "ms": "ms",
    "peak_bytes": "bytes",
    "num_parameters": "1",
    "at_once": "gradients",
    "draws": "draws from the guide per datum",
}
_WORDS = {
    "mean_norm": "norm of the mean gradient, debiased; NaN below the noise",
    "bias": "norm of mean gradient minus reference, debiased; NaN below the noise",
    "bias_squared": "its square, unbiased and perhaps negative",
    "bias_z": "standard errors by which the mean lies away from the reference",
    "variance": "trace of the covariance of one gradient",
    "snr": "norm of the mean over the root of the variance, debiased; NaN below the noise",
    "cosine": "cosine of the angle between mean gradient and reference, debiased",
    "variance_time": "variance times median ms: what a given precision costs",
    "bound": "mean of what the estimator reports",
    "ms": "median time of one ordinary gradient, computed as timed_as says",
    "ms_low": "lower quartile of the same",
    "ms_high": "upper quartile of the same",
    "timed_as": "eager: Pyro's Python; replay: its operations alone; inductor: these compiled",
    "peak_bytes": "most memory that one needs at once as Python; NaN: not measured",
    "num_parameters": "numbers in the block",
    "at_once": "gradients computed together; 1: one by one",
    "draws": "K of the estimator",
    "target": "what the gradient is meant to be that of",
    "reference": "what it is held against: exact, another estimator, or nothing",
    "biased_for": "what the estimator says of itself where it is not meant to be unbiased",
}
_METHOD = (
    "independent gradients of the mean bound per datum, upwards, at fixed parameters; pooled over "
    "the coordinates of a block; standard errors by the jackknife over batches of draws"
)


@dataclass
class Measured:
    """What was measured of one estimator.

    Attributes:
        estimator: as it was given.
        means: of its gradients over batches of draws.
        bounds: what it reported at each draw, (draws,) nats per datum.
        at_once: draws that were computed together.
        ms: times of single gradients, (rounds,).
        timed_as: how these were computed: "eager", "replay" or "inductor"; empty: not timed.
        peak_bytes: memory of one.
    """

    estimator: pyro.infer.ELBO
    means: BatchMeans
    bounds: Tensor
    at_once: int
    ms: NDArray[np.float64] = field(default_factory=lambda: np.full(1, np.nan))
    timed_as: str = ""
    peak_bytes: float = float("nan")

    @property
    def name(self) -> str:
        """As it is typed."""
        return name_of(self.estimator)


Exact = Mapping[str, Mapping[str, Tensor]]


def assembled(measured: Sequence[Measured], blocks: Blocks, exact: Exact, seed: int) -> xr.Dataset:
    """All statistics by estimator and block, with standard errors, units and words.

    Args:
        measured: of each estimator.
        blocks: the parameters.
        exact: exact gradients by target and parameter.
        seed: of the draws.
    """
    cells = {
        (each.name, block): _cell(each, block, measured, blocks, exact)
        for each in measured
        for block in blocks.names
    }
    names, both = [each.name for each in measured], ("estimator", "block")
    grid = {
        name: (both, [[cells[e, b][name] for b in blocks.names] for e in names])
        for name in next(iter(cells.values()))
    }
    found = xr.Dataset(
        {**grid, **_by_estimator(measured)},
        coords={"estimator": names, "block": list(blocks.names)},
    )
    found["num_parameters"] = ("block", [blocks.size(block) for block in blocks.names])
    found["variance_time"] = found["variance"] * found["ms"]
    found["variance_time_se"] = found["variance_se"] * found["ms"]
    for name in found:
        _describe(found, str(name))
    found.attrs = _circumstances(measured, blocks, seed)
    return found


def _cell(
    each: Measured, block: str, measured: Sequence[Measured], blocks: Blocks, exact: Exact
) -> dict[str, Any]:
    held, reference = _reference(each, block, measured, blocks, exact)
    products = each.means.products(blocks.names[block], held)
    values, errors = jackknifed(products)
    size = abs(float(each.bounds.mean())) + float(np.sqrt(products.square.mean()))
    rounding = _ROUNDING * torch.finfo(each.bounds.dtype).eps * size
    words = dict.fromkeys(target(each.estimator, role) for role in blocks.roles_of(block))
    guided = "guide" in blocks.roles_of(block)
    return {
        **dict(zip(STATISTICS, values, strict=True)),
        **{f"{name}_se": error for name, error in zip(STATISTICS, errors, strict=True)},
        "bias_z": deviation(products, rounding),
        "target": ", ".join(words),
        "reference": reference,
        "biased_for": (biased_for(each.estimator) or "") if guided else "",
    }


def _reference(
    each: Measured, block: str, measured: Sequence[Measured], blocks: Blocks, exact: Exact
) -> tuple[Mapping[str, Tensor] | BatchMeans | None, str]:
    """What a gradient is held against, and in a word what that is."""
    known = exact_of(each.estimator, block, blocks, exact)
    if known is not None:
        return known, "exact"
    roles = blocks.roles_of(block)
    variance = {}
    for other in measured:
        alike = all(target(other.estimator, r) == target(each.estimator, r) for r in roles)
        if alike and all(claims_unbiased(other.estimator, r) for r in roles):
            of_it = statistics(other.means.products(blocks.names[block]))
            variance[other.name] = of_it[STATISTICS.index("variance")]
    best = min(variance, key=lambda name: variance[name], default="")
    if best in ("", each.name):
        return None, "itself" if best else "nothing"
    return next(other.means for other in measured if other.name == best), best


def _by_estimator(measured: Sequence[Measured]) -> dict[str, Any]:
    bounds = [each.bounds.double().cpu().numpy() for each in measured]
    low, ms, high = (
        [float(np.quantile(each.ms, at)) for each in measured] for at in (0.25, 0.5, 0.75)
    )
    columns = {
        "bound": [values.mean() for values in bounds],
        "bound_se": [values.std(ddof=1) / np.sqrt(len(values)) for values in bounds],
        **{"ms": ms, "ms_low": low, "ms_high": high},
        "timed_as": [each.timed_as for each in measured],
        "peak_bytes": [each.peak_bytes for each in measured],
        "at_once": [each.at_once for each in measured],
        "draws": [int(getattr(each.estimator, "num_particles", 1)) for each in measured],
    }
    return {name: ("estimator", values) for name, values in columns.items()}


def _describe(found: xr.Dataset, name: str) -> None:
    of = name.removesuffix("_se").removesuffix("_low").removesuffix("_high")
    if of in _UNITS:
        found[name].attrs["units"] = _UNITS[of]
    error = f"standard error of {of}, "
    how = "over draws" if of == "bound" else "by the jackknife over batches of draws"
    how += ", the clock taken as it is" if of == "variance_time" else ""
    found[name].attrs["long_name"] = _WORDS.get(name, error + how)


def _circumstances(measured: Sequence[Measured], blocks: Blocks, seed: int) -> dict[str, str | int]:
    device = next(iter(blocks.leaves.values())).device
    return {
        "num_draws": len(measured[0].bounds),
        "batches": len(measured[0].means.weight),
        "seed": seed,
        "method": _METHOD,
        "ppvae": version("ppvae"),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "pyro": pyro.__version__,
        "device": device.type,
        "machine": platform.machine(),
        "threads": torch.get_num_threads(),
    }
