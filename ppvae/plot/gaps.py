"""The gap between log p(x) and an ELBO, datum by datum, in its two parts."""

from __future__ import annotations

import numpy as np
import xarray
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ppvae.plot.canvas import color_of, new_figure
from ppvae.plot.looks import small

__all__ = ["gaps"]

_BINS = 30
_PARTS = {"approximation_gap": "approximation", "amortization_gap": "amortization"}
_TEXT = 8.0

Floats = NDArray[np.float64]


def gaps(dataset: xarray.Dataset) -> Figure:
    """The parts of the inference gap, stacked over the rows in order of the gap, and their shapes.

    What is below zero on the left is noise of the draws, or a refinement that has not come far.

    Args:
        dataset: what :func:`ppvae.inference_gaps` returns, in nats.
    """
    figure, (stacked, shapes) = new_figure(1, 2, size=(8.2, 3.3))
    order = np.argsort(dataset["inference_gap"].values)
    share = (np.arange(len(order)) + 0.5) / len(order)
    below = np.zeros(len(order))
    edges = np.histogram_bin_edges(np.stack([dataset[name].values for name in _PARTS]), _BINS)
    for place, (name, word) in enumerate(_PARTS.items()):
        above = below + dataset[name].values[order]
        stacked.fill_between(share, below, above, color=color_of(place), alpha=0.8, linewidth=0)
        below = above
        _shape(shapes, dataset[name].values, edges, color_of(place), word)
    stacked.plot(share, below, color="0.2", linewidth=0.9)
    stacked.set(xlabel="rows, in order of their gap", ylabel="log p(x) - ELBO, nats", xlim=(0, 1))
    stacked.axhline(0, color="0.25", linewidth=0.8)
    shapes.set(xlabel="gap, nats per datum", ylabel="rows", ylim=(0, 1.3 * shapes.get_ylim()[1]))
    shapes.legend(frameon=False, fontsize=_TEXT, loc="upper right")
    for axes in (stacked, shapes):
        small(axes)
    return figure


def _shape(axes: Axes, values: Floats, edges: Floats, color: str, word: str) -> None:
    counts = np.histogram(values, edges)[0]
    label = f"{word}, {values.mean():.2f} in the mean"
    axes.stairs(counts, edges, fill=True, color=color, alpha=0.55, label=label)
    axes.axvline(values.mean(), color=color, linewidth=1.2)
