"""The pictures of a bench: variance and signal-to-noise by estimator, and against draws K."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from ppvae.plot.canvas import color_of, new_figure
from ppvae.plot.draws import ByDraws, against_draws
from ppvae.plot.looks import broken, small

__all__ = ["by_estimator", "snr_by_draws"]

_READ = {"variance": "variance (trace)", "snr": "signal-to-noise ratio"}


def by_estimator(found: xr.Dataset) -> Figure:
    """Variance and signal-to-noise ratio with standard errors, a line of panels for each block."""
    blocks = [str(block) for block in found["block"].values]
    names = [str(name) for name in found["estimator"].values]
    height = 0.75 + max(0.22 * len(names), 0.4)
    figure, axes = new_figure(len(blocks), 2, size=(7.6, height * len(blocks)), sharey=True)
    for place, block in enumerate(blocks):
        for each, (name, label) in zip(axes[2 * place :], _READ.items(), strict=False):
            own = found[[name, f"{name}_se"]].sel(block=block)
            _points(each, own[name].values, own[f"{name}_se"].values)
            each.set(xlabel=f"{label}, {block}")
        axes[2 * place].set_yticks(range(len(names)), [broken(name) for name in names])
        axes[2 * place].set_ylim(len(names) - 0.4, -0.6)
    return figure


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


def _points(axes: Axes, values: np.ndarray, errors: np.ndarray) -> None:
    for place, (value, error) in enumerate(zip(values, errors, strict=True)):
        if value > 0:
            # On a logarithmic axis a bar must end above zero.
            down = min(error, 0.9 * value) if error == error else 0.0
            up = error if error == error else 0.0
            bars = [[down], [up]]
            axes.errorbar([value], [place], xerr=bars, fmt="o", color=color_of(place), markersize=4)
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 50 * low else (1,)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
    small(axes)
