"""Posterior means and standard deviations by several methods, parameter by parameter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ppvae.plot.canvas import new_figure
from ppvae.plot.looks import looks_of, small

__all__ = ["posteriors"]

Floats = NDArray[np.floating[Any]]
_TEXT = 8.0


def posteriors(
    found: Mapping[str, tuple[Floats, Floats]], names: Sequence[str], *, label: str
) -> Figure:
    """Means with bars of one standard deviation to each side, a line for each parameter.

    Args:
        found: by method, means and standard deviations, (D,) each; the first method is the truth,
            drawn in black with a grey band.
        names: of the D parameters.
        label: what the values are, with their unit.

    Raises:
        ValueError: a method has another number of values than there are names.
    """
    for method, values in found.items():
        if any(np.shape(each) != (len(names),) for each in values):
            raise ValueError(
                f"means and standard deviations of {method!r} must be ({len(names)},), one for "
                f"each name; got shapes {[np.shape(each) for each in values]}."
            )
    figure, (axes,) = new_figure(1, 1, size=(5.6, 1.1 + 0.36 * len(names)))
    looks, places = looks_of(found), np.arange(len(names))
    for number, (method, (mean, deviation)) in enumerate(found.items()):
        truth = number == 0
        at = places + (0.62 * number / max(1, len(found) - 1) - 0.31)
        color = "black" if truth else looks[method].color
        bars = axes.errorbar(mean, at, xerr=deviation, fmt="o", color=color, label=method)
        bars.lines[0].set_markersize(3.5)
        if truth:
            low, high = mean - deviation, mean + deviation
            axes.barh(places, high - low, 0.86, low, color="0.9", zorder=0.5)
    axes.axvline(0, color="0.4", linewidth=0.8, zorder=0.6)
    # Else the frame ends where the last band does.
    axes.use_sticky_edges = False
    axes.autoscale_view()
    axes.set(yticks=places, yticklabels=names, ylim=(len(names) - 0.4, -0.6), xlabel=label)
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=_TEXT)
    small(axes)
    axes.grid(visible=False, axis="y")
    return figure
