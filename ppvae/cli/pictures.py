"""The pictures of a run, written beside it."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppvae.cli.sentences import one_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ppvae.run import Run

__all__ = ["save_figure", "write_pictures"]

_ROWS = 100
_PAIRS = 20
_POINTS = 2000
_LINES = 8
_NO_X = "the model must observe x; got another site."


def write_pictures(run: Run, folder: Path) -> tuple[list[Path], list[str]]:
    """Write what can be drawn of a run as PNG files.

    Args:
        run: what was trained.
        folder: where the files go.

    Returns:
        The files; and for each picture that this pair does not admit, its name and why.

    Raises:
        OSError: the folder cannot be written to.
    """
    written, left_out = [], []
    for name, draw in _drawings(run).items():
        try:
            figure = draw(run)
        except ValueError as error:
            left_out.append(f"{name} ({one_line(error).rstrip('.')})")
            continue
        save_figure(figure, folder / f"{name}.png")
        written.append(folder / f"{name}.png")
    return written, left_out


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure whole, in the format that the path's ending names.

    Raises:
        ValueError: matplotlib knows no such format, or there is no such folder.
        OSError: the folder cannot be written to.
    """
    from ppvae.atomic import write_whole

    known = figure.canvas.get_supported_filetypes()
    kind = path.suffix.removeprefix(".")
    if kind not in known:
        raise ValueError(f"picture must end in .png, .pdf or .svg; got {path}.")
    if not path.parent.is_dir():
        raise ValueError(f"picture must go into a folder that exists; got {path}.")
    content = io.BytesIO()
    figure.savefig(content, format=kind, dpi=120)
    write_whole(path, content.getvalue())


def _history(run: Run) -> Figure:
    from ppvae import plot

    return plot.history(run.history)


def _samples(run: Run) -> Figure:
    from ppvae import plot
    from ppvae.generate import sample

    return plot.samples(sample(run, _ROWS), run.data.image_shape)


def _reconstructions(run: Run) -> Figure:
    from ppvae import plot
    from ppvae.codes import reconstruct

    batch = _first_rows(run, _PAIRS)
    found = reconstruct(run, batch)
    if "x_mean" not in found:
        raise ValueError(_NO_X)
    again = found["x_mean"].values
    return plot.reconstructions(batch["x"], again, run.data.image_shape)


def _latent_map(run: Run, site: str | None = None) -> Figure:
    from ppvae import plot
    from ppvae.latents import latent_map

    return plot.latent_map(latent_map(run, _first_rows(run, _POINTS), site=site))


def _drawings(run: Run) -> dict[str, Callable[[Run], Figure]]:
    """The pictures by name: of several layers of codes each has its own."""
    from ppvae.latents import vector_sites

    sites = vector_sites(run, _first_rows(run, 2))
    if len(sites) < 2:
        return _OF_ALL | _OF_CODES
    each = {
        f"{n}-{site}": partial(draw, site=site) for n, draw in _OF_CODES.items() for site in sites
    }
    return _OF_ALL | each


def _interpolation(run: Run) -> Figure:
    from ppvae import plot
    from ppvae.latents import interpolate

    rows = _first_rows(run, 2 * _LINES)
    first, second = ({name: values[half::2] for name, values in rows.items()} for half in range(2))
    found = interpolate(run, first, second)
    if "x_mean" not in found:
        raise ValueError(_NO_X)
    return plot.interpolation(found, run.data.image_shape)


def _traversal(run: Run, site: str | None = None) -> Figure:
    from ppvae import plot
    from ppvae.traversals import traverse

    rows = _first_rows(run, _POINTS)
    return plot.traversal(traverse(run, rows, site=site), run.data.image_shape, rows["x"].cpu())


def _pushforward(run: Run, site: str | None = None) -> Figure:
    from ppvae import plot
    from ppvae.traversals import pushforward

    rows = _first_rows(run, _POINTS)
    return plot.pushforward(
        pushforward(run, rows, site=site), run.data.image_shape, rows["x"].cpu()
    )


def _first_rows(run: Run, num_rows: int) -> dict[str, Any]:
    return {name: values[:num_rows] for name, values in run.data.test.items()}


_OF_ALL: dict[str, Callable[[Run], Figure]] = {
    "history": _history,
    "samples": _samples,
    "reconstructions": _reconstructions,
    "interpolation": _interpolation,
}
_OF_CODES: dict[str, Callable[..., Figure]] = {
    "latent-map": _latent_map,
    "traversal": _traversal,
    "pushforward": _pushforward,
}
