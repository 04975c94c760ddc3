"""How each of several things is drawn, the same in every figure; and names where curves end."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator
from numpy.typing import NDArray

from ppvae.plot.canvas import color_of

__all__ = ["Look", "broken", "label_ends", "log_ticks", "looks_of", "small"]

_DASHES = ("-", (0, (4, 1.3)), (0, (1, 1)), (0, (5, 1.2, 1, 1.2)))
_TEXT = 8.0
_LINE = 1.3 * _TEXT / 72


class Look(NamedTuple):
    """A colour and a dash pattern, as matplotlib takes them."""

    color: str
    dash: str | tuple[int, tuple[float, ...]]


def looks_of(names: Iterable[str]) -> dict[str, Look]:
    """Ten colours, then the same dashed, dotted and so on: forty looks before one comes twice."""
    return {
        name: Look(color_of(place), _DASHES[place // 10 % len(_DASHES)])
        for place, name in enumerate(names)
    }


def small(axes: Axes) -> None:
    """Set the words of the axes for a figure that is printed at its own size."""
    for text in (axes.title, axes.xaxis.label, axes.yaxis.label):
        text.set_fontsize(_TEXT)
    axes.tick_params(which="both", labelsize=_TEXT)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3, linewidth=0.6)
    axes.set_axisbelow(True)


def log_ticks(axis: XAxis | YAxis) -> None:
    """Write plain numbers at a logarithmic axis, as many as there is room for."""
    low, high = axis.get_view_interval()
    if high < 6 * low:
        axis.set_major_locator(MaxNLocator(5))
    else:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 50 * low else (1,)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter("")


def broken(name: str) -> str:
    """A name in lines, broken at its spaces where it is long."""
    return "\n".join(textwrap.wrap(name, 22, break_long_words=False, break_on_hyphens=False))


def label_ends(
    axes: Axes, ends: Mapping[str, tuple[float, float]], looks: Mapping[str, Look]
) -> None:
    """Write the names of curves to the right of the axes, beside their ends but never over another.

    Args:
        axes: with its limits set.
        ends: the last point of each curve.
        looks: of each curve; a sample stands before its name.
    """
    left, right = axes.get_xlim()
    names = sorted(ends, key=lambda name: ends[name][1])
    within = axes.transData + axes.transAxes.inverted()
    wished = np.array([within.transform(ends[name])[1] for name in names])
    height = axes.bbox.height / axes.figure.dpi
    lines = np.array([broken(name).count("\n") + 1 for name in names]) * _LINE / height
    for name, wish, at in zip(names, wished, _apart(wished.clip(0, 1), lines), strict=True):
        (x, y), (color, _) = ends[name], looks[name]
        text = broken(name)
        if 0 <= wish <= 1:
            axes.plot([x], [y], "o", markersize=2.5, color=color)
            axes.hlines(y, x, right, color=color, linewidth=0.5, alpha=0.4)
            leader = Line2D([1.0, 1.03], [wish, at], linewidth=0.5, alpha=0.6)
            _add_outside(axes, leader, Look(color, "-"))
        else:
            text += f" ({'↓' if wish < 0 else '↑'} {y:.4g})"
        _add_outside(axes, Line2D([1.03, 1.09], [at, at], linewidth=1.4), looks[name])
        style = {"fontsize": _TEXT, "linespacing": 1.05}
        axes.text(1.11, at, text, style, va="center", transform=axes.transAxes)
    axes.set_xlim(left, right)


def _add_outside(axes: Axes, line: Line2D, look: Look) -> None:
    """Add a line in coordinates of the axes, beyond which it goes."""
    line.set(color=look.color, linestyle=look.dash, clip_on=False, transform=axes.transAxes)
    axes.add_artist(line)


def _apart(wished: NDArray[np.float64], heights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The places nearest to the wished ones, in their order, at which labels do not overlap.

    With the heights before it subtracted from each place, "no overlap" is "not falling": isotonic
    regression, solved by the min-max formula.
    """
    before = np.cumsum((heights + np.roll(heights, 1)) / 2) - (heights[0] + heights[-1]) / 2
    shifted = wished - before
    means = np.array(
        [
            [shifted[i : k + 1].mean() if k >= i else np.inf for k in range(len(shifted))]
            for i in range(len(shifted))
        ]
    )
    level = np.array([means[: each + 1, each:].min(axis=1).max() for each in range(len(shifted))])
    # Where there is too little room for all, they go on above the axes.
    return level.clip(0, max(0.0, 1 - float(before[-1]))) + before
