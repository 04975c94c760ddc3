"""The pictures of a bench: variance and signal-to-noise by estimator, and against draws K."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from ppvae.plot.draws import ByDraws, against_draws
from ppvae.plot.looks import looks_of
from ppvae.plot.rows import intervals

__all__ = ["by_estimator", "snr_by_draws"]

_READ = {"variance": "variance (trace)", "snr": "signal-to-noise ratio"}


def by_estimator(found: xr.Dataset) -> dict[str, Figure]:
    """Variance and signal-to-noise ratio with standard errors, for each block."""
    names = [str(name) for name in found["estimator"].values]
    figures = {}
    for block in map(str, found["block"].values):
        for name, label in _READ.items():
            own = found[[name, f"{name}_se"]].sel(block=block)
            pairs = zip(names, own[name].values, own[f"{name}_se"].values, strict=True)
            lines = {each: _ends(value, error) for each, value, error in pairs if value > 0}
            if lines:
                figures[f"{name}-{block}"] = intervals(
                    {name: lines},
                    label=f"{label}, {block}",
                    logarithmic=True,
                    looks=looks_of(names),
                )
    return figures


def snr_by_draws(found: xr.Dataset) -> dict[str, Figure]:
    """The signal-to-noise ratio against K, by block; only of estimators seen at several K."""
    families = _families(found)
    if not families:
        return {}
    figures = {}
    for block in map(str, found["block"].values):
        own = found.sel(block=block)
        lines = {family: _line(own.sel(estimator=names)) for family, names in families.items()}
        lines = {family: line for family, line in lines.items() if len(line.draws) > 1}
        if lines:
            label = f"signal-to-noise ratio, {block}"
            figures[block] = against_draws(lines, label=label, logarithmic=True)
    return figures


def _families(found: xr.Dataset) -> dict[str, list[str]]:
    """Estimators that differ in K alone, in the order of K."""
    families: dict[str, list[tuple[int, str]]] = {}
    for name in map(str, found["estimator"].values):
        draws = int(found["draws"].sel(estimator=name))
        families.setdefault(name.replace(f":{draws}", "", 1), []).append((draws, name))
    several = {family: sorted(each) for family, each in families.items()}
    return {f: [n for _, n in each] for f, each in several.items() if len({*each}) > 1}


def _line(own: xr.Dataset) -> ByDraws:
    own = own.isel(estimator=(own["snr"] > 0).values)
    value, error = own["snr"].values, own["snr_se"].values
    low = np.maximum(value - error, value / 10)
    return ByDraws(own["draws"].values.astype(float), value, low, value + error)


def _ends(value: float, error: float) -> tuple[float, float, float]:
    """One standard error to both sides; on a logarithmic axis a bar must end above zero."""
    return value, max(value - error, value / 10), value + error
