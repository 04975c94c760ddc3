"""The pictures of a comparison: held-out curves, and samples of each estimator's model."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from ppvae.compare.summary import groups
from ppvae.plot import curves
from ppvae.plot.canvas import new_figure
from ppvae.plot.looks import looks_of
from ppvae.plot.mosaic import draw_mosaic

__all__ = ["drawable", "drawn"]


def drawn(dataset: xr.Dataset, samples: Mapping[str, xr.Dataset]) -> dict[str, Figure]:
    """The figures by name: "comparison" for each data set, "samples" where these are images.

    Args:
        dataset: of a comparison.
        samples: what :func:`ppvae.sample` drew, by estimator, with ``attrs["image_shape"]``.
    """
    found = groups(dataset)
    figures = {}
    for names in found:
        first = str(dataset.sel(estimator=names[0])["experiment"].item())
        figures["comparison" if len(found) == 1 else f"comparison-{first}"] = _curves(
            dataset, names
        )
    images = drawable(samples)
    if images:
        figures["samples"] = _samples(images)
    return figures


def drawable(samples: Mapping[str, xr.Dataset]) -> dict[str, xr.Dataset]:
    """The samples that are images with a mean."""
    return {
        name: each
        for name, each in samples.items()
        if each.attrs.get("image_shape", (0,))[0] in (1, 3) and "x_mean" in each
    }


def _curves(dataset: xr.Dataset, names: list[str]) -> Figure:
    own = dataset.sel(estimator=names)
    means = own["curve"].mean("valid_row")
    steps, seconds, values = (
        {name: array.sel(estimator=name).values for name in names}
        for array in (own["step"], own["seconds"], means)
    )
    return curves(
        *(steps, seconds, values),
        label="held-out log p(x), nats per datum",
        looks=looks_of(str(name) for name in dataset["estimator"].values),
    )


def _samples(images: Mapping[str, xr.Dataset]) -> Figure:
    columns = min(len(images), max(3, math.isqrt(len(images))))
    lines = -(-len(images) // columns)
    figure, axes = new_figure(lines, columns, size=(3.2 * columns, 3.5 * lines))
    for each in axes:
        each.set_axis_off()
    for each, (name, drawn_of_it) in zip(axes, images.items(), strict=False):
        x = drawn_of_it["x_mean"].values
        side = int(np.sqrt(len(x)))
        draw_mosaic(
            each, x[: side * side].reshape(side, side, -1), drawn_of_it.attrs["image_shape"]
        )
        each.set_title(name)
    how = next(iter(images.values()))["x_mean"].attrs["how"]
    figure.suptitle(f"{how} of p(x|z) at codes z from the prior, first seed")
    return figure
