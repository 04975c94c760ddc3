"""Pictures of labels: what a model makes of each, and how often a prediction is right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ppvae.plot.canvas import new_figure
from ppvae.plot.looks import looks_of
from ppvae.plot.mosaic import draw_mosaic

__all__ = ["accuracies", "by_class"]

_SIDE = 0.55


def by_class(dataset: xarray.Dataset, image_shape: Sequence[int]) -> Figure:
    """A picture of what :func:`ppvae.by_class.by_class` returned, read in both directions.

    On the left each line holds a class while the code varies; on the right each holds a code while
    the class varies.

    Args:
        dataset: ``x_mean``, (code, label, pixel).
        image_shape: (C, H, W).

    Raises:
        ValueError: the shapes do not go together.
    """
    means = dataset["x_mean"].values
    codes, classes = means.shape[:2]
    size = (_SIDE * (codes + classes) + 1.6, _SIDE * max(codes, classes) + 1.0)
    figure, (left, right) = new_figure(1, 2, size=size)
    names = [str(label) for label in range(classes)]
    heights, _ = draw_mosaic(left, means.transpose(1, 0, 2), image_shape)
    left.set_yticks(heights, names)
    left.set(ylabel="label y", xlabel="another code z in each column")
    left.set_title("the class held")
    _, widths = draw_mosaic(right, means, image_shape)
    right.set_xticks(widths, names)
    right.set(xlabel="label y", ylabel="another code z in each line")
    right.set_title("the code held")
    return figure


def accuracies(
    found: Mapping[str, Mapping[int, Sequence[float]]], *, baseline: str | None = None
) -> Figure:
    """A picture of accuracy against the number of labels, with each draw of labels as a point.

    Args:
        found: by way to train, by number of labels: the accuracy of each draw of labels.
        baseline: the way that the others are held against, drawn in black.

    Raises:
        ValueError: nothing was found.
    """
    if not found:
        raise ValueError("found must hold at least one way to train; got none.")
    figure, (axes,) = new_figure(1, 1, size=(6.5, 4.2))
    looks = looks_of(found)
    for place, (name, by_number) in enumerate(found.items()):
        color = "black" if name == baseline else looks[name].color
        numbers = sorted(by_number)
        means = [float(np.mean(by_number[number])) for number in numbers]
        axes.plot(numbers, means, color=color, linestyle=looks[name].dash, label=name)
        # Side by side, so that points of one number of labels do not hide each other.
        shift = 1.0 + 0.03 * (place - (len(found) - 1) / 2)
        for number in numbers:
            values: NDArray[Any] = np.asarray(by_number[number])
            axes.plot(np.full(len(values), number * shift), values, "o", color=color, markersize=3)
    axes.set_xscale("log")
    ticks = sorted({number for by_number in found.values() for number in by_number})
    axes.set_xticks(ticks, [str(number) for number in ticks])
    axes.minorticks_off()
    axes.set(xlabel="labelled training rows", ylabel="accuracy on test rows")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", loc="lower right")
    return figure
