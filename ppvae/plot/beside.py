"""Lines of images below each other, each with its name and what is measured of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ppvae.plot.canvas import new_figure
from ppvae.plot.mosaic import draw_mosaic

__all__ = ["beside"]

_IMAGE = 0.55


def beside(
    panels: Mapping[str, Mapping[str, tuple[Any, str]]],
    image_shape: Sequence[int],
    *,
    columns: int = 12,
    numbers: str = "",
) -> Figure:
    """A picture of panels side by side, each of lines of images with a number at their end.

    All grey images are drawn on one scale, black at 0 and white at 1: what lies beyond is cut off.

    Args:
        panels: by title; each by the name of a line its rows, (N, P), and what stands at its end.
        image_shape: (C, H, W) with C H W = P, C 1 or 3.
        columns: the first so many rows are drawn.
        numbers: stands above what is at the ends.

    Raises:
        ValueError: there is no line, or the shapes do not go together.
    """
    lines = max((len(panel) for panel in panels.values()), default=0)
    if not lines:
        raise ValueError(f"panels must hold a line each; got {len(panels)} panels.")
    # Names and numbers stand outside of the images.
    size = (len(panels) * (_IMAGE * columns + 2.6), _IMAGE * lines + 0.8)
    figure, every = new_figure(1, len(panels), size=size)
    for axes, (title, panel) in zip(every, panels.items(), strict=True):
        rows = [np.asarray(x, dtype=float)[:columns] for x, _ in panel.values()]
        cells = np.full((len(rows), columns, rows[0].shape[-1]), np.nan)
        for line, x in zip(cells, rows, strict=True):
            line[: len(x)] = x
        heights, _ = draw_mosaic(axes, cells, image_shape, limits=(0.0, 1.0))
        axes.set_yticks(heights, list(panel))
        right = axes.get_xlim()[1]
        for y, (_, number) in zip(heights, panel.values(), strict=True):
            axes.annotate(
                number, (right, y), (6, 0), textcoords="offset points", va="center", fontsize=10
            )
        top = axes.get_ylim()[1]
        axes.annotate(
            numbers, (right, top), (6, 4), textcoords="offset points", va="bottom", fontsize=9
        )
        axes.set_title(title)
    return figure
