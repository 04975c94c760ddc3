"""Figures with a line for each of several things: intervals, parts of a sum, shapes, heat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from ppvae.plot.canvas import new_figure
from ppvae.plot.looks import Look, broken, log_ticks, looks_of, small

__all__ = ["heat", "histograms", "intervals", "sums"]

Floats = NDArray[np.floating[Any]]
Looks = Mapping[str, Look]
Ends = tuple[float, float, float]

_TEXT = 8.0
_WIDTH = 4.1
_BINS = 40
_MOST_TICKS = 11


def intervals(
    readings: Mapping[str, Mapping[str, Ends]],
    *,
    label: str,
    logarithmic: bool = False,
    looks: Looks | None = None,
) -> Figure:
    """Values with their intervals, in lines, each reading with a marker of its own.

    Args:
        readings: by the name of the reading and of the line: value, low and high; not drawn where
            NaN. Two readings at most.
        label: what the values are, with their unit.
        logarithmic: whether the axis is; else there is a line at 0.
        looks: how each line is drawn; by its place unless given.
    """
    names = list(dict.fromkeys(name for values in readings.values() for name in values))
    drawn_as = looks or looks_of(names)
    figure, axes = _lines(names, per_line=0.22, above=0.2)
    fills = dict(zip(readings, ("color", "white"), strict=False))
    for place, (reading, values) in enumerate(readings.items()):
        offset = 0.36 * (place - (len(readings) - 1) / 2)
        for name, (value, low, high) in values.items():
            y, color = names.index(name) + offset, drawn_as[name].color
            face = color if fills[reading] == "color" else "white"
            axes.hlines(y, low, high, color=color, linewidth=1.2)
            axes.plot([value], [y], "o", color=color, markerfacecolor=face, markersize=4)
    if logarithmic:
        axes.set_xscale("log")
        log_ticks(axes.xaxis)
    else:
        axes.axvline(0, color="0.25", linewidth=0.9, zorder=0.5)
    axes.set_xlabel(label)
    if len(readings) > 1:
        keys = [
            Line2D([], [], marker="o", color="0.3", markersize=4, markerfacecolor=face, label=name)
            for name, face in zip(readings, ("0.3", "white"), strict=False)
        ]
        _legend(figure, keys)
    return figure


def sums(
    parts: Mapping[str, Mapping[str, float]], *, label: str, looks: Looks | None = None
) -> Figure:
    """Two parts of a sum as bars in lines: the first from the left edge, the second after it.

    Args:
        parts: by the name of the part, two of them, and of the line. The second is written at the
            end of its bar.
        label: what the sum is, with its unit.
        looks: how each line is drawn; by its place unless given.
    """
    (one, first), (other, second) = parts.items()
    names = [name for name in first if np.isfinite(first[name] + second[name])]
    drawn_as = looks or looks_of(names)
    ends = [first[name] + second[name] for name in names]
    least, greatest = min(first[name] for name in names), max(ends)
    # Nats have no zero worth showing: the bars begin so that the second part can be seen.
    left = least - 0.5 * max(greatest - least, 1e-3 * abs(greatest))
    figure, axes = _lines(names, per_line=0.2, above=0.2)
    for y, name in enumerate(names):
        color = drawn_as[name].color
        axes.barh(y, first[name] - left, 0.7, left, color=color)
        axes.barh(y, second[name], 0.7, first[name], color=color, alpha=0.35)
        axes.barh(y, second[name], 0.7, first[name], color="none", edgecolor=color, hatch="/////")
        axes.annotate(
            f"{second[name]:.2f}",
            (ends[y], y),
            (3, 0),
            textcoords="offset points",
            va="center",
            fontsize=_TEXT,
        )
    axes.set_xlim(left, greatest + 0.16 * (greatest - left))
    axes.set_xlabel(label)
    bars = [Patch(color="0.4", label=one), Patch(fc="0.85", ec="0.4", hatch="/////", label=other)]
    _legend(figure, bars)
    return figure


def histograms(
    values: Mapping[str, Floats],
    *,
    threshold: float,
    label: str,
    looks: Looks | None = None,
) -> Figure:
    """The shapes of several samples in lines, and how much of each lies above a threshold.

    What lies beyond the frame is counted in its last bin.

    Args:
        values: by the name of the line; NaN is left out, infinity is not.
        threshold: drawn as a line; the share above it is written beside.
        label: what the values are, with their unit.
        looks: how each line is drawn; by its place unless given.
    """
    known = {name: each[~np.isnan(each)] for name, each in values.items()}
    names = [name for name, each in known.items() if len(each)]
    drawn_as = looks or looks_of(names)
    edges = _edges(np.concatenate([known[name] for name in names]), threshold)
    figure, axes = _lines(names, per_line=0.24, above=0.2)
    for y, name in enumerate(names):
        counts = np.histogram(known[name].clip(edges[0], edges[-1]), edges)[0]
        bottom, color = y + 0.42, drawn_as[name].color
        tops = bottom - 0.85 * counts / counts.max()
        axes.stairs(tops, edges, baseline=bottom, fill=True, alpha=0.75, color=color)
        _write_beside(axes, f"{(known[name] > threshold).mean():.0%}", y)
    _write_beside(axes, f"above {threshold:.2f}", -1.0)
    axes.axvline(threshold, color="0.25", linewidth=0.9, linestyle=(0, (4, 2)))
    axes.set_xlabel(label)
    axes.grid(visible=False, axis="y")
    return figure


def _edges(values: Floats, threshold: float) -> Floats:
    """Of bins that hold nearly all finite values, and the threshold."""
    finite = values[np.isfinite(values)]
    low, high = np.quantile(finite, [0.002, 0.998]) if len(finite) else (threshold, threshold)
    return np.linspace(min(low, threshold - 0.2), max(high, threshold + 0.2), _BINS + 1)


def _write_beside(axes: Axes, text: str, y: float) -> None:
    axes.text(1.02, y, text, va="center", fontsize=_TEXT, transform=axes.get_yaxis_transform())


def heat(values: Mapping[str, Floats], *, label: str, columns: str) -> Figure:
    """Values in lines as shades, from white at 0 to dark.

    Args:
        values: by the name of the line, all of one length; NaN stays grey.
        label: what the shades are, with their unit.
        columns: what the places in a line are.
    """
    names = list(values)
    table = np.stack([values[name] for name in names])
    figure, axes = _lines(names, per_line=0.2, above=0.45)
    drawn = axes.pcolormesh(
        np.arange(table.shape[1] + 1) + 0.5,
        np.arange(len(names) + 1) - 0.5,
        np.ma.masked_invalid(table),
        cmap="Blues",
        vmin=0.0,
        edgecolors="white",
        linewidth=0.4,
    )
    axes.set_facecolor("0.9")
    axes.grid(visible=False)
    axes.xaxis.set_major_locator(MaxNLocator(_MOST_TICKS, integer=True, min_n_ticks=1))
    axes.set_xlabel(columns)
    bar = figure.colorbar(drawn, ax=axes, location="top", aspect=45, pad=0.02)
    bar.set_label(label, fontsize=_TEXT)
    bar.ax.tick_params(labelsize=_TEXT)
    bar.outline.set_visible(False)
    return figure


def _lines(names: Sequence[str], *, per_line: float, above: float) -> tuple[Figure, Axes]:
    """An empty figure with a line for each name, the first on top, and room above; in inches."""
    texts = [broken(name) for name in names]
    height = sum(max(per_line, 0.14 * (text.count("\n") + 1)) for text in texts)
    figure, (axes,) = new_figure(1, 1, size=(_WIDTH, 0.75 + above + max(height, 0.4)))
    small(axes)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_yticks(range(len(names)), texts)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    return figure, axes


def _legend(figure: Figure, keys: Sequence[Line2D | Patch]) -> None:
    """Above the axes, where nothing is drawn."""
    figure.legend(
        handles=keys,
        loc="outside upper right",
        ncols=len(keys),
        frameon=False,
        fontsize=_TEXT,
        borderpad=0.1,
        handlelength=1.8,
    )
