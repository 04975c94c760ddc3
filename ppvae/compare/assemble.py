"""The numbers of all runs in one dataset."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version

import numpy as np
import pyro
import torch
import xarray as xr

from ppvae.compare.measure import CURVE_PARTICLES
from ppvae.compare.plan import Entry
from ppvae.compare.summary import CONFIDENCE, summarized
from ppvae.diagnose import NotFiniteError
from ppvae.named import name_of, pyro_name

__all__ = ["assembled"]

_WORDS = {
    "curve": "log p(x) of validation rows while training, by importance weighting",
    "log_evidence": "log p(x) of test rows by importance weighting",
    "log_evidence_se": "its standard error over draws",
    "log_evidence_exact": "log p(x) of test rows, exact",
    "elbo": "evidence lower bound of test rows",
    "khat": "Pareto k-hat of the weights of test rows",
    "own_bound": "the estimator's own bound, mean over test rows",
    "own_bound_se": "its standard error over draws",
    "gap": "log p(x) by importance weighting minus the own bound, mean over test rows",
    "gap_se": "its standard error over draws",
    "gap_exact": "log p(x), exact, minus the own bound, mean over test rows",
    "gap_exact_se": "its standard error over draws",
    "kl": "KL(q(z|x) || p(z)), mean over test rows",
    "kl_by_dim": "the same by coordinate of the code",
    "activity": "variance over test rows of E_q[z|x]",
    "active": "whether that is above 0.01",
    "active_units": "coordinates of the code that are active",
    "step": "steps taken at the points of the curve",
    "seconds": "time of training until then",
    "ms_per_step": "time of a step, median over epochs",
}
_UNITS = {
    "step": "steps",
    "seconds": "s of training, without evaluation",
    "ms_per_step": "ms",
    **dict.fromkeys(("khat", "active", "active_units"), "1"),
    "activity": "of z, squared",
}


def assembled(
    planned: Sequence[Entry],
    seeds: Sequence[int],
    found: Mapping[tuple[str, int], xr.Dataset],
    notes: Sequence[str],
    num_particles: int,
    command: str,
) -> xr.Dataset:
    """A dataset of all runs by estimator and seed, with their summary.

    Args:
        planned: the lines of the table.
        seeds: of the runs.
        found: what was measured, by label and seed; a run without a finite end is not there.
        notes: what happened to those, and what else was left out, in words.
        num_particles: K of the estimate of log p(x) on test rows.
        command: what this is in a shell; empty where it was started from Python.

    Raises:
        NotFiniteError: no run came to a finite end.
    """
    if not found:
        raise NotFiniteError(f"no run came to a finite end: {notes[0]}")
    by_estimator = []
    for entry in planned:
        model = next(
            (v for (label, _), v in found.items() if label == entry.label),
            next(iter(found.values())),
        )
        nothing = xr.full_like(model, np.nan)
        of_seeds = [found.get((entry.label, seed), nothing) for seed in seeds]
        by_estimator.append(xr.concat(of_seeds, _index("seed", seeds), join="outer"))
    labels = _index("estimator", [entry.label for entry in planned])
    runs = xr.concat(by_estimator, labels, join="outer", data_vars="all")
    described = _described(planned) | {
        "data": _what_is_scored(planned, found),
        "settings": _of_first_run(planned, found, "settings"),
        "shared": _of_first_run(planned, found, "shared"),
    }
    runs = runs.assign_coords({name: ("estimator", texts) for name, texts in described.items()})
    for name in runs:
        runs[name].attrs = {"units": _UNITS.get(str(name), "nats per datum")}
        if name in _WORDS:
            runs[name].attrs["long_name"] = _WORDS[str(name)]
    runs.attrs = _circumstances(num_particles) | {"notes": "\n".join(notes), "command": command}
    return runs.assign(summary=summarized(runs))


def _index(name: str, values: Sequence[int] | Sequence[str]) -> xr.DataArray:
    return xr.DataArray(list(values), dims=[name], name=name)


def _described(planned: Sequence[Entry]) -> dict[str, list[str] | list[int]]:
    """What is known of each line in words."""
    return {
        "experiment": [entry.recipe.name for entry in planned],
        "options": [json.dumps(dict(entry.recipe.options)) for entry in planned],
        "name": [name_of(entry.estimator) for entry in planned],
        "in_pyro": [pyro_name(entry.estimator) for entry in planned],
        "draws": [int(getattr(entry.estimator, "num_particles", 1)) for entry in planned],
        "data_words": [_data_words(entry) for entry in planned],
    }


def _data_words(entry: Entry) -> str:
    how = entry.data.binarize
    return f"{entry.data.name} ({'not binarised' if how == 'none' else f'binarised: {how}'})"


def _what_is_scored(
    planned: Sequence[Entry], found: Mapping[tuple[str, int], xr.Dataset]
) -> list[str]:
    """Equal for lines whose log p(x) can be compared.

    A probability of binary rows is no density of grey ones, nor of the same rows as numbers.
    """
    recipes = {entry.label: id(entry.recipe) for entry in planned}
    kinds = {recipes[label]: each.attrs["kind"] for (label, _), each in found.items()}
    return [
        f"{kinds.get(id(entry.recipe), 'log p(x)')} on {entry.data.name}, binarize "
        f"{entry.data.binarize}, sha256 {entry.data.fingerprint}"
        for entry in planned
    ]


def _of_first_run(
    planned: Sequence[Entry], found: Mapping[tuple[str, int], xr.Dataset], name: str
) -> list[str]:
    """An attribute of the first run of each line; empty where none came to an end."""
    return [
        next((v.attrs[name] for (label, _), v in found.items() if label == entry.label), "")
        for entry in planned
    ]


def _circumstances(num_particles: int) -> dict[str, str | int | float]:
    return {
        "num_particles": num_particles,
        "curve_particles": CURVE_PARTICLES,
        "confidence": CONFIDENCE,
        "ppvae": version("ppvae"),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "pyro": pyro.__version__,
        "system": platform.system(),
        "machine": platform.machine(),
        "cores": os.cpu_count() or 0,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "",
        "threads": torch.get_num_threads(),
    }
