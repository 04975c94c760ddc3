"""Pictures of what a pair draws, reconstructs and encodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ppvae.plot.canvas import color_of, new_figure
from ppvae.plot.mosaic import draw_lines, draw_mosaic

__all__ = [
    "images",
    "interpolation",
    "latent_map",
    "manifold",
    "reconstructions",
    "samples",
]

Floats = NDArray[np.floating[Any]]
ImageShape = Sequence[int] | None

_MOST_LEGEND_ENTRIES = 20
_LINES = 4


def images(
    x: Any, image_shape: ImageShape, *, columns: int | None = None, title: str | None = None
) -> Figure:
    """A picture of rows, as images in a grid or, for rows that are no images, as lines.

    Args:
        x: rows, (N, P), from 0 to 1 if the images are in colour.
        image_shape: (C, H, W) with C H W = P, C 1 or 3; None for lines.
        columns: images side by side; as many as below each other if not given.
        title: stands above.

    Raises:
        ValueError: the shapes do not go together.
    """
    values = _array(x)
    figure, axes = new_figure(1, 1, size=(5.0, 5.0))
    _draw_rows(axes[0], values, image_shape, columns or int(np.ceil(len(values) ** 0.5)))
    axes[0].set_title(title or "")
    return figure


def samples(dataset: xarray.Dataset, image_shape: ImageShape) -> Figure:
    """A picture of what :func:`ppvae.generate.sample` returned: means, and draws beside them.

    Raises:
        ValueError: the model draws no data at a site "x".
    """
    if "x_mean" not in dataset:
        raise ValueError(f"dataset must hold x and x_mean; got {sorted(map(str, dataset))}.")
    figure, axes = new_figure(1, 2, size=(10.0, 5.2))
    for each, name in zip(axes, ("x_mean", "x"), strict=True):
        values = dataset[name].values
        _draw_rows(each, values, image_shape, int(np.ceil(len(values) ** 0.5)))
    axes[0].set_title(f"{_how(dataset['x_mean'])} of p(x|z) at codes z from the prior")
    axes[1].set_title("one draw of x at each of these codes")
    return figure


def reconstructions(
    x: Any, reconstruction: Any, image_shape: ImageShape, *, columns: int = 10
) -> Figure:
    """A picture of rows and, below each, its reconstruction.

    Args:
        x: rows, (N, P).
        reconstruction: the mean of p(x|z) for each, (N, P).
        image_shape: (C, H, W), or None for lines (of the first rows only).
        columns: pairs side by side.

    Raises:
        ValueError: the shapes do not go together.
    """
    original, again = _array(x), _array(reconstruction)
    if original.shape != again.shape:
        raise ValueError(
            f"reconstruction must have the shape of x, {original.shape}; got {again.shape}."
        )
    columns = min(columns, len(original))
    lines = -(-len(original) // columns)
    if image_shape is None:
        figure, axes = new_figure(1, 1, size=(7.0, 4.0))
        draw_lines(axes[0], original[:_LINES], [f"row {i}" for i in range(_LINES)])
        draw_lines(axes[0], again[:_LINES], linestyle="--")
        axes[0].set_title("data (solid) and reconstruction (dashed)")
        return figure
    cells = np.full((2 * lines, columns, original.shape[1]), np.nan)
    for number, pair in enumerate(zip(original, again, strict=True)):
        line, column = divmod(number, columns)
        cells[2 * line, column], cells[2 * line + 1, column] = pair
    figure, axes = new_figure(1, 1, size=(0.8 * columns + 1.5, 1.6 * lines + 0.4))
    heights, _ = draw_mosaic(axes[0], cells, image_shape)
    axes[0].set_yticks(heights, ["data", "reconstruction"] * lines)
    return figure


def interpolation(dataset: xarray.Dataset, image_shape: ImageShape) -> Figure:
    """A picture of what :func:`ppvae.latents.interpolate` returned, one line of images a row."""
    values, steps = dataset["x_mean"].values, dataset["step"].values
    labels = [f"{step:.2f}".rstrip("0").rstrip(".") for step in steps]
    about = "position on the line from the first code to the second"
    if image_shape is None:
        figure, axes = new_figure(1, 1, size=(7.0, 4.0))
        draw_lines(
            axes[0], values[0], labels, legend="position", shades=np.linspace(0, 0.9, len(steps))
        )
        axes[0].set_title("row 0 on the line from the first code to the second")
        return figure
    figure, axes = new_figure(1, 1, size=(0.8 * len(steps) + 1.0, 0.8 * len(values) + 0.9))
    heights, widths = draw_mosaic(axes[0], values, image_shape)
    axes[0].set_yticks(heights, [str(row) for row in range(len(values))])
    axes[0].set_xticks(widths, labels)
    axes[0].set(ylabel="row", xlabel=about)
    return figure


def manifold(dataset: xarray.Dataset, image_shape: ImageShape) -> Figure:
    """A picture of what :func:`ppvae.latents.manifold` returned, over the two coordinates of z.

    Raises:
        ValueError: image_shape is None.
    """
    if image_shape is None:
        raise ValueError("image_shape must be (C, H, W) to draw a manifold; got None.")
    values = dataset["x_mean"].values[::-1]
    figure, axes = new_figure(1, 1, size=(7.0, 7.0))
    heights, widths = draw_mosaic(axes[0], values, image_shape)
    site = dataset.attrs["site"]
    shown = sorted({round(i) for i in np.linspace(0, len(values) - 1, 9)})
    for axis, middles, name in (("x", widths, "first"), ("y", heights[::-1], "second")):
        ticks = [f"{z:.1f}" for z in dataset[name].values[shown]]
        axes[0].set(**{f"{axis}ticks": [middles[i] for i in shown], f"{axis}ticklabels": ticks})
    quantiles = "(equal steps of probability under N(0, 1))"
    axes[0].set(xlabel=f"{site}[0] {quantiles}", ylabel=f"{site}[1] {quantiles}")
    axes[0].set_title(f"{_how(dataset['x_mean'])} of p(x|{site})")
    return figure


def latent_map(dataset: xarray.Dataset) -> Figure:
    """A picture of what :func:`ppvae.latents.latent_map` returned, coloured by label."""
    figure, (axes,) = new_figure(1, 1, size=(6.5, 5.5))
    first, second = dataset["first"].values, dataset["second"].values
    labels = dataset["label"].values if "label" in dataset else np.full(len(first), -1)
    known = sorted(set(labels.tolist()) - {-1})
    hollow = labels == -1
    if len(known) > _MOST_LEGEND_ENTRIES:
        points = axes.scatter(first[~hollow], second[~hollow], c=labels[~hollow], s=10)
        figure.colorbar(points, ax=axes, label="label y")
    else:
        for place, kind in enumerate(known):
            here = labels == kind
            axes.scatter(first[here], second[here], s=10, color=color_of(place), label=str(kind))
    if hollow.any():
        x, y = first[hollow], second[hollow]
        axes.scatter(x, y, s=10, facecolors="none", edgecolors="0.6", label="unknown", zorder=0)
    if 0 < len(known) <= _MOST_LEGEND_ENTRIES:
        axes.legend(title="label y", markerscale=2, loc="center left", bbox_to_anchor=(1, 0.5))
    axes.set(xlabel=dataset["first"].attrs["long_name"])
    axes.set(ylabel=dataset["second"].attrs["long_name"])
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_title(f"mean of q({dataset.attrs['site']}|x), {len(first)} rows")
    return figure


def _draw_rows(axes: Axes, x: Floats, image_shape: ImageShape, columns: int) -> None:
    if image_shape is None:
        draw_lines(axes, x[:_LINES], [f"row {i}" for i in range(_LINES)])
        return
    lines = -(-len(x) // columns)
    cells = np.full((lines * columns, x.shape[1]), np.nan)
    cells[: len(x)] = x
    draw_mosaic(axes, cells.reshape(lines, columns, -1), image_shape)


def _array(x: Any) -> Floats:
    values = np.asarray(x.detach().cpu() if hasattr(x, "detach") else x, dtype=float)
    if values.ndim != 2:
        raise ValueError(f"x must be rows, (N, P); got shape {values.shape}.")
    return values


def _how(array: xarray.DataArray) -> str:
    return str(array.attrs["how"])
