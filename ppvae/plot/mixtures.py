"""How EM and coordinate ascent climb: touching bounds, ellipses by step, the staircase."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from ppvae.em import Along
from ppvae.plot.canvas import color_of, new_figure
from ppvae.plot.looks import small

__all__ = ["Ellipses", "ellipses", "staircase", "touching"]

Floats = NDArray[np.floating[Any]]

_BOUNDS = "viridis"
_CIRCLE = np.linspace(0, 2 * np.pi, 200)


class Ellipses(NamedTuple):
    """A Gaussian mixture in two dimensions: title, weights (C,), means (C, 2), covariances."""

    title: str
    weights: Floats
    means: Floats
    covariances: Floats


def touching(courses: Mapping[str, Along], *, parameter: str) -> Figure:
    """L(theta) and the bounds J(theta; q_t) that touch it at theta_t, a panel for each start.

    Args:
        courses: from each start, by the title of its panel: :func:`ppvae.em.along`.
        parameter: what theta is, with its unit.
    """
    figure, axes = new_figure(1, len(courses), size=(3.9 * len(courses), 3.3), sharey=True)
    longest = max(len(course.elbo) for course in courses.values())
    scale = Normalize(0, max(1, longest - 1))
    colors = [colormaps[_BOUNDS](scale(step)) for step in range(longest)]
    for each, (title, course) in zip(axes, courses.items(), strict=True):
        grid, level = course.grid.numpy(), course.log_evidence.numpy()
        for step, bound in enumerate(course.elbo.numpy()):
            each.plot(grid, bound, color=colors[step], linewidth=1.1)
        each.plot(grid, level, color="black", linewidth=1.8)
        points = list(zip(course.steps.tolist(), course.at_steps.tolist(), strict=True))
        for step, point in enumerate(points[: len(course.elbo)]):
            each.plot(*point, "o", color=colors[step], markersize=4.5, zorder=3)
        each.plot(*points[-1], "*", color="black", markersize=10, zorder=4)
        height = float(np.ptp(level))
        each.set(title=title, xlabel=parameter, xlim=(grid[0], grid[-1]))
        each.set_ylim(level.min() - 0.25 * height, level.max() + 0.12 * height)
        small(each)
    axes[0].set_ylabel("black L(theta), colours J(theta; q_t)\nnats per datum", fontsize=8)
    steps = MaxNLocator(integer=True)
    bar = figure.colorbar(ScalarMappable(scale, _BOUNDS), ax=axes, shrink=0.85, ticks=steps)
    bar.set_label("step t", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    return figure


def ellipses(x: Floats, mixtures: Sequence[Ellipses], *, labels: tuple[str, str]) -> Figure:
    """Data with the two-standard-deviation ellipses of a mixture, a panel for each step.

    Args:
        x: data, (N, 2).
        mixtures: what is drawn in each panel; lines are as thick as weights are large.
        labels: of the two axes, with their units.
    """
    columns = min(4, len(mixtures))
    rows = -(-len(mixtures) // columns)
    figure, axes = new_figure(rows, columns, size=(2.3 * columns, 2.3 * rows + 0.3), sharey=True)
    for each, mixture in zip(axes, mixtures, strict=False):
        each.plot(*x.T, ".", color="0.7", markersize=2.5)
        parts = zip(mixture.weights, mixture.means, mixture.covariances, strict=True)
        for place, (weight, mean, covariance) in enumerate(parts):
            _ellipse(each, mean, covariance, color_of(place), 0.6 + 3 * float(weight))
        each.set(title=mixture.title, xlabel=labels[0])
        margin = 0.12 * np.ptp(x, axis=0)
        each.set_xlim(x[:, 0].min() - margin[0], x[:, 0].max() + margin[0])
        each.set_ylim(x[:, 1].min() - margin[1], x[:, 1].max() + margin[1])
        small(each)
    for each in axes[len(mixtures) :]:
        each.set_axis_off()
    for each in axes[::columns]:
        each.set_ylabel(labels[1], fontsize=8)
    return figure


def staircase(loc: Floats, covariance: Floats, path: Floats, variance: Floats) -> Figure:
    """The means of a mean-field Gaussian on their way, one coordinate at a time.

    Args:
        loc: mean of p, (2,).
        covariance: of p, (2, 2).
        path: the means of q at the start and after each update, (S, 2).
        variance: of q at the end, (2,); drawn are one and two standard deviations of both.
    """
    figure, (axes,) = new_figure(1, 1, size=(4.1, 3.9))
    for spread in (0.5, 1.0):
        name = {"label": "p"} if spread == 1.0 else {}
        _ellipse(axes, loc, spread**2 * covariance, "black", 1.2, **name)
        name = {"label": "q, mean field"} if spread == 1.0 else {}
        _ellipse(axes, path[-1], spread**2 * np.diag(variance), "C1", 1.6, **name)
    axes.plot(*path.T, ".-", color="C0", linewidth=1.0, markersize=4, label="mean of q by update")
    axes.plot(*path[0], "o", color="C0", markersize=5)
    axes.set(xlabel="z1", ylabel="z2", aspect="equal")
    axes.legend(loc="best", fontsize=8)
    small(axes)
    return figure


def _ellipse(
    axes: Axes, mean: Floats, covariance: Floats, color: str, width: float, **style: Any
) -> None:
    """Two standard deviations around the mean."""
    circle = np.stack([np.cos(_CIRCLE), np.sin(_CIRCLE)])
    line = mean[:, None] + 2 * np.linalg.cholesky(covariance) @ circle
    axes.plot(*line, color=color, linewidth=width, **style)
    axes.plot(*mean, "+", color=color, markersize=6)
