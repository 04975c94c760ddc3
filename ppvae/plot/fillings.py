"""Rows with holes, and what they are filled with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ppvae.plot.canvas import new_figure
from ppvae.plot.mosaic import draw_lines, draw_mosaic, shades

__all__ = ["fillings"]

Floats = NDArray[np.floating[Any]]

# Of holes, in which no grey and none of the usual ink is.
_HOLE = (0.45, 0.62, 0.85)


def fillings(
    found: xarray.Dataset, mask: Any, image_shape: Sequence[int] | None, *, original: Any = None
) -> Figure:
    """A picture of what :func:`ppvae.impute` returned, one row a line.

    From left to right: the original where it is known, what was observed with the holes in blue,
    the mean, and the weighted draws.

    Args:
        found: rows with their holes filled.
        mask: true where x was observed, (N, P).
        image_shape: (C, H, W) with C H W = P, C 1 or 3; None for lines, of the first row alone.
        original: x before values were left out, (N, P); None where nobody knows it.

    Raises:
        ValueError: the shapes do not go together.
    """
    seen = np.asarray(mask, dtype=bool)
    mean, draws = found["x_mean"].values, found["x"].values
    if seen.shape != mean.shape:
        raise ValueError(f"mask must have the shape of x, {mean.shape}; got {seen.shape}.")
    known = [] if original is None else [np.asarray(original, dtype=float)]
    fills = [mean, *draws.transpose(1, 0, 2)]
    titles = [*["original"] * len(known), "observed", "mean", *["draw"] * draws.shape[1]]
    if image_shape is None:
        return _lines(known, seen, fills)
    columns = [*known, np.where(seen, mean, np.nan), *fills]
    cells = _coloured(np.stack(columns, 1), tuple(image_shape))
    figure, (axes,) = new_figure(1, 1, size=(0.85 * len(titles) + 0.4, 0.85 * len(mean) + 0.6))
    _, middles = draw_mosaic(axes, cells, (3, *image_shape[1:]))
    axes.set_xticks(middles, titles)
    axes.xaxis.tick_top()
    return figure


def _coloured(cells: Floats, image_shape: tuple[int, ...]) -> Floats:
    """Images (R, C, P) as coloured ones, NaN as a hole."""
    least, greatest = shades(cells)
    scaled = (cells - least) / max(greatest - least, 1e-12)
    images = scaled.reshape(*cells.shape[:2], *image_shape)
    coloured = np.broadcast_to(images, (*cells.shape[:2], 3, *image_shape[1:]))
    holes = np.isnan(coloured)
    filled = np.where(holes, np.array(_HOLE)[:, None, None], coloured)
    return filled.reshape(*cells.shape[:2], -1)


def _lines(known: list[Floats], seen: NDArray[np.bool_], fills: list[Floats]) -> Figure:
    figure, (axes,) = new_figure(1, 1, size=(8.0, 4.0))
    for number, draw in enumerate(fills[1:]):
        draw_lines(axes, draw[:1], ["draws"] if number == 0 else None, shades=np.full(1, 0.85))
    draw_lines(axes, fills[0][:1], ["mean"], shades=np.full(1, 0.4))
    if known:
        draw_lines(axes, known[0][:1], ["original"], linestyle="--", shades=np.zeros(1))
    places = np.flatnonzero(seen[0])
    axes.plot(places, fills[0][0, places], "o", color="black", label="observed")
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    axes.set_title("row 0, its holes filled")
    return figure
