"""An empty figure that no pyplot holds, and the colours of lines and points."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

__all__ = ["color_of", "new_figure"]


def new_figure(
    rows: int, columns: int, *, size: tuple[float, float], sharey: bool = False
) -> tuple[Figure, list[Axes]]:
    """An empty figure of a size in inches, with its axes in reading order."""
    figure = Figure(
        figsize=size, layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1, compress=True)
    )
    axes = figure.subplots(rows, columns, sharey=sharey, squeeze=False)
    return figure, list(axes.flat)


def color_of(place: int) -> str:
    """The colour of the first, second, ... thing that is drawn; ten, then again from the first."""
    return f"C{place % 10}"
