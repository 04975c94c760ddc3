"""Curves of training: a bound against steps and against seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from numpy.typing import NDArray

from ppvae.plot.canvas import color_of, new_figure

__all__ = ["curves", "history"]

Floats = NDArray[np.floating[Any]]

_CLOCKS = ("training steps", "training time, seconds")


def history(dataset: xarray.Dataset) -> Figure:
    """A picture of a training, its bound against steps and against seconds.

    Args:
        dataset: with dimension epoch and variables step, seconds, train_bound and valid_bound,
            both in nats per datum.
    """
    figure, axes = new_figure(1, 2, size=(10.0, 4.0), sharey=True)
    names = {"train_bound": "training", "valid_bound": "validation"}
    for each, clock in zip(axes, ("step", "seconds"), strict=True):
        for name, label in names.items():
            each.plot(dataset[clock].values, dataset[name].values, marker=".", label=label)
    _finish_curves(axes, [dataset[name].values for name in names], "bound, nats per datum")
    return figure


def curves(
    steps: Mapping[str, Floats],
    seconds: Mapping[str, Floats],
    values: Mapping[str, Floats],
    *,
    label: str = "held-out log-evidence, nats per datum",
) -> Figure:
    """Curves of several estimators against steps and against seconds, with their spread.

    A line is the mean over seeds, the band around it goes from the least to the greatest. The
    frame begins at the first quarter of the points; seconds are on a logarithmic axis.

    Args:
        steps: for each estimator the steps taken, (seeds, points).
        seconds: the time taken, of the same shape.
        values: what is drawn, of the same shape.
        label: what the values are, with their unit.

    Raises:
        ValueError: an estimator's three arrays differ in shape.
    """
    figure, axes = new_figure(1, 2, size=(10.0, 4.5), sharey=True)
    for place, (name, value) in enumerate(values.items()):
        for each, clock in zip(axes, (steps[name], seconds[name]), strict=True):
            if np.shape(clock) != np.shape(value):
                raise ValueError(
                    f"steps and seconds of {name!r} must have the shape of its values, "
                    f"{np.shape(value)}; got {np.shape(clock)}."
                )
            at = np.mean(clock, axis=0)
            color, style = color_of(place), "-" if place < 10 else "--"
            each.plot(at, np.mean(value, axis=0), style, color=color, label=name)
            low, high = np.min(value, axis=0), np.max(value, axis=0)
            each.fill_between(at, low, high, color=color, alpha=0.2, linewidth=0)
    # Seconds per step differ tenfold between estimators: on a linear axis the fast ones are a wall.
    axes[1].set_xscale("log")
    axes[1].xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes[1].xaxis.set_major_formatter("{x:g}")
    _finish_curves(axes, [row for value in values.values() for row in value], label)
    return figure


def _finish_curves(axes: Sequence[Axes], lines: Sequence[Floats], label: str) -> None:
    for each, clock in zip(axes, _CLOCKS, strict=True):
        each.set_xlabel(clock)
        each.grid(alpha=0.3)
    axes[0].set_ylabel(label)
    axes[-1].legend(loc="lower right")
    # The first points lie so far below that the rest would look like one flat line.
    later = np.concatenate([line[len(line) // 4 :] for line in lines])
    least, greatest = np.nanmin(later), np.nanmax(later)
    margin = 0.05 * (greatest - least)
    if margin > 0:
        axes[0].set_ylim(least - margin, greatest + margin)
