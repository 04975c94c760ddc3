"""Curves of training: a bound against steps and against seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ppvae.plot.canvas import new_figure
from ppvae.plot.looks import Look, label_ends, log_ticks, looks_of, small

__all__ = ["curves", "curves_by", "history"]

Floats = NDArray[np.floating[Any]]
Values = Mapping[str, Floats]

_CLOCKS = ("training steps", "training time, seconds")
# Bands of more curves than these hide one another.
_MOST_BANDS = 8


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
        each.grid(alpha=0.3)
    _name_axes(axes, _CLOCKS, "bound, nats per datum")
    axes[-1].legend(loc="lower right")
    _frame(axes[0], [dataset[name].values for name in names])
    return figure


def curves(
    steps: Values,
    seconds: Values,
    values: Values,
    *,
    label: str = "held-out log-evidence, nats per datum",
    looks: Mapping[str, Look] | None = None,
) -> Figure:
    """Curves of several estimators against steps and against seconds, with their spread.

    A line is the mean over seeds; the band around it, where there are not too many, goes from the
    least to the greatest. The frame holds the second half of the points; seconds are on a
    logarithmic axis. A curve that ends far below most leaves the frame, and its name says where.

    Args:
        steps: for each estimator the steps taken, (seeds, points).
        seconds: the time taken, of the same shape.
        values: what is drawn, of the same shape.
        label: what the values are, with their unit.
        looks: how each is drawn; by its place among the values unless given.

    Raises:
        ValueError: an estimator's three arrays differ in shape.
    """
    figure, axes = new_figure(1, 2, size=(7.4, _height(values)), sharey=True)
    shapes = {name: np.shape(value) for name, value in values.items()}
    for clock in (steps, seconds):
        wrong = next((name for name in values if np.shape(clock[name]) != shapes[name]), None)
        if wrong is not None:
            raise ValueError(
                f"steps and seconds of {wrong!r} must have the shape of its values, "
                f"{shapes[wrong]}; got {np.shape(clock[wrong])}."
            )
    drawn_as = looks or looks_of(values)
    _draw(axes[0], steps, values, drawn_as)
    ends = _draw(axes[1], seconds, values, drawn_as)
    _name_axes(axes, _CLOCKS, label)
    _set_frame(axes[1], values, ends)
    _use_seconds(axes[1], seconds, values)
    label_ends(axes[1], ends, drawn_as)
    for each in axes:
        small(each)
    return figure


def curves_by(
    clock: Values,
    values: Values,
    *,
    in_seconds: bool,
    label: str,
    looks: Mapping[str, Look] | None = None,
) -> Figure:
    """The curves of :func:`curves` against one clock alone, narrow enough for a phone.

    Args:
        clock: for each estimator the steps or seconds at its points, (seeds, points).
        values: what is drawn, of the same shape.
        in_seconds: whether these are seconds.
        label: what the values are, with their unit.
        looks: how each is drawn; by its place among the values unless given.
    """
    figure, axes = new_figure(1, 1, size=(4.1, _height(values)))
    drawn_as = looks or looks_of(values)
    ends = _draw(axes[0], clock, values, drawn_as)
    _name_axes(axes, [_CLOCKS[in_seconds]], label)
    _set_frame(axes[0], values, ends)
    if in_seconds:
        _use_seconds(axes[0], clock, values)
    label_ends(axes[0], ends, drawn_as)
    small(axes[0])
    return figure


def _height(values: Values) -> float:
    """Inches, so that every name has a line of its own."""
    return max(3.1, 0.9 + 0.14 * len(values))


def _draw(
    axes: Axes, clock: Values, values: Values, looks: Mapping[str, Look]
) -> dict[str, tuple[float, float]]:
    """Draw lines and bands; return the last points."""
    ends = {}
    for name, value in values.items():
        color, dash = looks[name]
        at, mean = np.mean(clock[name], axis=0), np.mean(value, axis=0)
        axes.plot(at, mean, linestyle=dash, color=color, linewidth=1.4, label=name)
        if len(values) <= _MOST_BANDS:
            low, high = np.min(value, axis=0), np.max(value, axis=0)
            axes.fill_between(at, low, high, color=color, alpha=0.2, linewidth=0)
        known = np.isfinite(at) & np.isfinite(mean)
        if known.any():
            ends[name] = (float(at[known][-1]), float(mean[known][-1]))
    return ends


def _use_seconds(axes: Axes, seconds: Values, values: Values) -> None:
    """A logarithmic axis that begins where the first curve enters the frame."""
    # Seconds per step differ tenfold between estimators: on a linear axis the fast ones are a wall.
    # Nor is there a second 0 on a log axis: drawn anyway, it would be a flat line from far left.
    axes.set_xscale("log", nonpositive="mask")
    least = axes.get_ylim()[0]
    starts = []
    for name, value in values.items():
        at, mean = np.mean(seconds[name], axis=0), np.mean(value, axis=0)
        at, mean = at[at > 0], mean[at > 0]
        inside = np.flatnonzero(mean >= least)
        starts += [at[max(first - 1, 0)] for first in inside[:1]]
    axes.set_xlim(left=0.9 * min(starts, default=1.0))
    log_ticks(axes.xaxis)


def _name_axes(axes: Sequence[Axes], clocks: Sequence[str], label: str) -> None:
    for each, clock in zip(axes, clocks, strict=True):
        each.set_xlabel(clock)
    axes[0].set_ylabel(label)


def _set_frame(axes: Axes, values: Values, ends: Mapping[str, tuple[float, float]]) -> None:
    """Leave out what ends far below most."""
    if not ends:
        return
    last = np.array([y for _, y in ends.values()])
    low, middle, high = np.quantile(last, [0.25, 0.5, 1])
    least = middle - 5 * max(high - middle, middle - low)
    _frame(axes, [row for n, (_, y) in ends.items() if y >= least for row in values[n]])


def _frame(axes: Axes, lines: Sequence[Floats]) -> None:
    # The first points lie so far below that the rest would look like one flat line.
    later = np.concatenate([line[len(line) // 2 :] for line in lines])
    least, greatest = np.nanmin(later), np.nanmax(later)
    margin = 0.05 * (greatest - least)
    if margin > 0:
        axes.set_ylim(least - margin, greatest + margin)
