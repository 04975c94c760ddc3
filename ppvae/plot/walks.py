"""Pictures of walks through the space of codes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ppvae.plot.canvas import new_figure
from ppvae.plot.mosaic import draw_lines, draw_mosaic, shades

__all__ = ["pushforward", "traversal"]

Floats = NDArray[np.floating[Any]]
ImageShape = Sequence[int] | None

_PANELS = 4


def traversal(dataset: xarray.Dataset, image_shape: ImageShape, x: Any = None) -> Figure:
    """A picture of what :func:`ppvae.traversals.traverse` returned, a line for each coordinate.

    Rows that are no images are drawn over the components of x, or over the coordinate of z where x
    has one component; the first four coordinates, each in axes of its own.

    Args:
        dataset: of the traversal.
        image_shape: (C, H, W), or None for rows that are no images.
        x: data, (N, P), whose least value is drawn black and whose greatest white; what the means
            have beyond is cut off.

    Raises:
        ValueError: the model observes no rows at a site "x".
    """
    values, steps = _means(dataset, "traversal"), dataset["step"].values
    labels = [f"{step:.2f}".rstrip("0").rstrip(".") for step in steps]
    names = [str(name) for name in dataset["coordinate"].values]
    if image_shape is not None:
        size = (0.62 * len(steps) + 2.4, 0.62 * len(names) + 1.1)
        figure, (axes,) = new_figure(1, 1, size=size)
        heights, widths = draw_mosaic(axes, values, image_shape, limits=_limits(x))
        activity = dataset["activity"].values
        lines = [f"{name}  ({each:.2f})" for name, each in zip(names, activity, strict=True)]
        axes.set_yticks(heights, lines)
        axes.set_xticks(widths, labels)
        axes.set_xlabel("standard deviations from the mean of all codes")
        axes.set_ylabel("coordinate (its activity)")
        return figure
    shown = min(len(names), _PANELS)
    figure, every = new_figure(shown, 1, size=(7.0, 2.2 * shown + 0.6))
    for place, axes in enumerate(every):
        if values.shape[-1] == 1:
            axes.plot(dataset["value"].values[place], values[place, :, 0], ".-")
            axes.set(xlabel=names[place], ylabel="mean of x")
            continue
        shades = np.linspace(0, 0.9, len(steps))
        draw_lines(axes, values[place], labels, legend=f"{names[place]}, in s.d.", shades=shades)
    return figure


def pushforward(dataset: xarray.Dataset, image_shape: ImageShape, x: Any = None) -> Figure:
    """A picture of what :func:`ppvae.traversals.pushforward` returned: the grid, bent.

    The grid is drawn where its points lie in the space of data, of more than two dimensions in the
    plane of the two principal axes of its points. Images stand beside it, at their places in z.

    Args:
        dataset: of the grid.
        image_shape: (C, H, W), or None for rows that are no images.
        x: data beside the grid, (N, P), drawn as points; their range is that of the grey values.

    Raises:
        ValueError: the model observes no rows at a site "x", or x has another width.
    """
    values = _means(dataset, "pushforward")
    width = values.shape[-1]
    data = None if x is None else np.asarray(x, dtype=float)
    if data is not None and (data.ndim != 2 or data.shape[1] != width):
        raise ValueError(f"x must be rows, (N, {width}); got shape {data.shape}.")
    is_plane = values.ndim == 3
    images = image_shape is not None
    figure, every = new_figure(1, 1 + images, size=(5.6 + 6.0 * images, 5.6 if is_plane else 4.0))
    if image_shape is not None:
        cells = values[::-1] if is_plane else values[None]
        _draw_images(every[0], cells, dataset, image_shape, _limits(data))
    axes = every[-1]
    flat, names = _in_plane(values.reshape(-1, width), data, dataset)
    grid = flat[0].reshape(*values.shape[:-1], 2)
    if flat[1] is not None:
        axes.plot(*flat[1].T, ".", color="0.7", markersize=3, zorder=0, label="data")
    _draw_grid(axes, grid, dataset)
    axes.set(xlabel=names[0], ylabel=names[1])
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=3, frameon=False)
    if width > 1:
        axes.set_aspect("equal", adjustable="datalim")
    axes.set_title("the grid of codes, as the decoder bends it")
    return figure


def _means(dataset: xarray.Dataset, what: str) -> Floats:
    if "x_mean" not in dataset:
        raise ValueError(f"{what} needs a model that observes x; got {sorted(map(str, dataset))}.")
    values: Floats = dataset["x_mean"].values
    return values


def _draw_images(
    axes: Axes,
    cells: Floats,
    dataset: xarray.Dataset,
    image_shape: Sequence[int],
    limits: tuple[float, float] | None,
) -> None:
    heights, widths = draw_mosaic(axes, cells, image_shape, limits=limits)
    for axis, middles in (("x", widths), ("y", heights[::-1])):
        name = {"x": "first", "y": "second"}[axis]
        if name not in dataset.coords:
            continue
        shown = sorted({round(i) for i in np.linspace(0, len(middles) - 1, 7)})
        ticks = [f"{z:.1f}" for z in dataset[name].values[shown]]
        axes.set(**{f"{axis}ticks": [middles[i] for i in shown], f"{axis}ticklabels": ticks})
        axes.set(**{f"{axis}label": dataset[name].attrs["long_name"]})
    axes.set_title("mean of p(x|z) on the grid")


def _limits(x: Any) -> tuple[float, float] | None:
    return None if x is None else shades(np.asarray(x, dtype=float))


def _in_plane(
    points: Floats, data: Floats | None, dataset: xarray.Dataset
) -> tuple[tuple[Floats, Floats | None], tuple[str, str]]:
    """Points (N, P) and data in two dimensions, and the names of these."""
    width = points.shape[1]
    if width == 1:
        z = dataset["first"].values
        over = np.tile(z, len(points) // len(z))
        # Where data lie along z is not known.
        return (np.stack([over, points[:, 0]], 1), None), (dataset["first"].attrs["long_name"], "x")
    if width == 2:
        return (points, data), ("x[0]", "x[1]")
    middle = points.mean(0)
    axes = np.linalg.svd(points - middle, full_matrices=False)[2][:2]
    flat = None if data is None else (data - middle) @ axes.T
    about = "of the grid's points"
    names = (f"principal axis 1 {about} (P = {width})", f"principal axis 2 {about}")
    return ((points - middle) @ axes.T, flat), names


def _draw_grid(axes: Axes, grid: Floats, dataset: xarray.Dataset) -> None:
    """Lines along each coordinate of z, darker from its low end to its high one."""
    directions = [("first", grid if grid.ndim == 3 else grid[None], "C0")]
    if grid.ndim == 3:
        directions.append(("second", grid.transpose(1, 0, 2), "C1"))
    for name, lines, color in directions:
        label = f"along {dataset[name].attrs['long_name'].split(' (')[0]}"
        for number, line in enumerate(lines):
            weight = 0.3 + 0.7 * number / max(1, len(lines) - 1)
            axes.plot(
                *line.T,
                color=color,
                alpha=weight,
                linewidth=1.1,
                label=label if number == len(lines) - 1 else None,
            )
