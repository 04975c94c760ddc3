"""A quantity against the number of draws K."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator
from numpy.typing import NDArray

from ppvae.plot.canvas import new_figure
from ppvae.plot.looks import Look, label_ends, log_ticks, looks_of, small

__all__ = ["ByDraws", "against_draws"]

# Numbers of draws that are written at the axis, each by itself.
_MOST_TICKS = 8

Floats = NDArray[np.floating[Any]]


class ByDraws(NamedTuple):
    """Values at several K, all (N,), with the ends of their bars."""

    draws: Floats
    value: Floats
    low: Floats
    high: Floats


def against_draws(
    lines: Mapping[str, ByDraws],
    *,
    label: str,
    logarithmic: bool = False,
    looks: Mapping[str, Look] | None = None,
) -> Figure:
    """Lines over the number of draws K, on a logarithmic axis, with error bars.

    Args:
        lines: by name.
        label: what the values are, with their unit.
        logarithmic: whether the values have a logarithmic axis too, as slopes of an SNR need.
        looks: how each line is drawn; by its place unless given.
    """
    drawn_as = looks or looks_of(lines)
    figure, (axes,) = new_figure(1, 1, size=(4.1, max(3.1, 0.9 + 0.14 * len(lines))))
    for name, (draws, value, low, high) in lines.items():
        color, dash = drawn_as[name]
        bars = np.stack([value - low, high - value])
        axes.errorbar(draws, value, bars, fmt="none", ecolor=color, elinewidth=1.0)
        axes.plot(draws, value, "o", linestyle=dash, color=color, linewidth=1.4, markersize=3.5)
    axes.set_xscale("log")
    if logarithmic:
        axes.set_yscale("log")
        log_ticks(axes.yaxis)
    every = sorted({float(k) for line in lines.values() for k in line.draws})
    if len(every) <= _MOST_TICKS:
        axes.set_xticks(every)
    else:
        axes.xaxis.set_major_locator(LogLocator())
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set(xlabel="draws K", ylabel=label)
    small(axes)
    ends = {name: (float(line.draws[-1]), float(line.value[-1])) for name, line in lines.items()}
    label_ends(axes, ends, drawn_as)
    return figure
