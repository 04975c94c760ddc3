"""Rows of data drawn into axes: as images side by side, or as lines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from numpy.typing import NDArray

__all__ = ["draw_lines", "draw_mosaic", "shades"]

Floats = NDArray[np.floating[Any]]


def draw_mosaic(
    axes: Axes,
    x: Floats,
    image_shape: Sequence[int],
    *,
    limits: tuple[float, float] | None = None,
) -> tuple[list[float], list[float]]:
    """Draw images (R, C, P) in R lines of C; return where the middles of lines and columns are.

    Grey images are drawn from 0, black, to 1, white; where values lie outside, from the least to
    the greatest, with a bar that says so; or between the limits that are given, without a bar.
    NaN stays white. Colours beyond 0 and 1 are cut off.

    Raises:
        ValueError: image_shape is not (C, H, W) with C 1 or 3 and C H W = P.
    """
    shape = tuple(image_shape)
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise ValueError(f"image_shape must be (C, H, W) with C 1 or 3 to be drawn; got {shape}.")
    if math.prod(shape) != x.shape[-1]:
        raise ValueError(
            f"x must be as wide as images {shape}, {math.prod(shape)}; got {x.shape[-1]}."
        )
    channels, height, width = shape
    lines, columns = x.shape[:2]
    tiles = x.reshape(lines, columns, channels, height, width).transpose(0, 3, 1, 4, 2)
    tiles = np.pad(tiles, ((0, 0), (0, 1), (0, 0), (0, 1), (0, 0)), constant_values=np.nan)
    picture = tiles.reshape(lines * (height + 1), columns * (width + 1), channels)[:-1, :-1]
    if channels == 3:
        axes.imshow(np.nan_to_num(picture.clip(0, 1), nan=1.0))
    else:
        _draw_grey(axes, picture[..., 0], limits)
    axes.set(xticks=[], yticks=[])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return _middles(lines, height), _middles(columns, width)


def draw_lines(
    axes: Axes,
    x: Floats,
    labels: Sequence[str] | None = None,
    *,
    linestyle: str = "-",
    legend: str | None = None,
    shades: Floats | None = None,
) -> None:
    """Draw rows (N, P) as lines over the components of x, with a legend if they have labels.

    Shades, (N,), from 0 to 1 stand for an order of the rows.
    """
    for number, row in enumerate(x):
        color = f"C{number}" if shades is None else colormaps["viridis"](shades[number])
        label = labels[number] if labels else None
        axes.plot(np.arange(len(row)), row, linestyle, color=color, label=label)
    axes.set(xlabel="component of x", ylabel="value")
    if labels:
        axes.legend(title=legend, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))


def _draw_grey(axes: Axes, picture: Floats, given: tuple[float, float] | None) -> None:
    least, greatest = limits = given or shades(picture)
    grey = colormaps["gray"].with_extremes(bad="white")
    drawn = axes.imshow(picture, cmap=grey, vmin=least, vmax=greatest, interpolation="none")
    if given is None and limits != (0.0, 1.0) and axes.figure is not None:
        axes.figure.colorbar(drawn, ax=axes, label="value of x", shrink=0.7)


def shades(x: Floats) -> tuple[float, float]:
    """What is drawn black and what white: 0 and 1, or the ends of values that lie outside."""
    least, greatest = float(np.nanmin(x)), float(np.nanmax(x))
    return (0.0, 1.0) if least >= 0 and greatest <= 1 else (least, greatest)


def _middles(count: int, side: int) -> list[float]:
    return [i * (side + 1) + (side - 1) / 2 for i in range(count)]
