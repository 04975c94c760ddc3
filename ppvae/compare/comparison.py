"""What a comparison found: to print, to look into, to keep."""

from __future__ import annotations

import io
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import xarray as xr
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from ppvae.atomic import write_whole
from ppvae.compare.statistics import as_variables
from ppvae.compare.summary import groups, verdict_on
from ppvae.compare.table import Row, as_csv, as_html, caption, rows, tables
from ppvae.netcdf import save_dataset

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Comparison"]

_LEAST_WIDTH = 120


class Comparison:
    """Estimators compared, in nats per datum.

    Args:
        dataset: what :func:`ppvae.compare.assemble.assembled` made of all runs, by estimator and
            seed; ``summary`` holds the table. A saved one opens with xarray alone.
        samples: prior samples of the first seed by estimator, for the picture.
    """

    def __init__(
        self, dataset: xr.Dataset, samples: Mapping[str, xr.Dataset] | None = None
    ) -> None:
        self.dataset = dataset
        self.samples = dict(samples or {})

    def table(self) -> list[Row]:
        """One row for each estimator: its name, its name in Pyro, and its statistics."""
        return rows(self.dataset)

    @property
    def verdict(self) -> str:
        """Which estimator lies above which, in plain words; a line for each data set."""
        summary = self.dataset["summary"]
        return "\n".join(verdict_on(summary, names) for names in groups(self.dataset))

    @property
    def notes(self) -> list[str]:
        """The runs that met NaN, and where; and what else was left out."""
        return str(self.dataset.attrs["notes"]).splitlines()

    def figures(self) -> dict[str, Figure]:
        """Held-out curves against steps and seconds for each data set, and prior samples."""
        from ppvae.compare.pictures import drawn

        return drawn(self.dataset, self.samples)

    def save(self, folder: str | Path) -> None:
        """Write the report, the numbers and the pictures into a folder, each file whole.

        report.html holds all that there is to read, table.tex and figure.pdf are for a paper,
        results.nc and table.csv are the numbers, comparison.txt is what a terminal shows.

        Raises:
            OSError: the folder cannot be written to.
        """
        from ppvae.compare.report import page_of, table_of
        from ppvae.report import write_report

        home = Path(folder)
        home.mkdir(parents=True, exist_ok=True)
        groups = {"table": as_variables(self.dataset["summary"])}
        save_dataset(self.dataset, home / "results.nc", groups)
        write_whole(home / "table.csv", as_csv(self.table()))
        write_whole(home / "comparison.txt", str(self))
        figures = self.figures()
        for name, figure in figures.items():
            content = io.BytesIO()
            figure.savefig(content, format="png", dpi=120)
            write_whole(home / f"{name}.png", content.getvalue())
        page = page_of(self.dataset, self.samples, self.verdict, self.notes)
        curves = [figure for name, figure in figures.items() if name != "samples"]
        write_report(home, page, table=table_of(self.dataset), figures=curves)

    def __rich__(self) -> RenderableType:
        texts = [Text(text) for text in self._texts()]
        return Group(*tables(self.table()), *(Padding(text, (0, 0, 1, 0)) for text in texts))

    def __str__(self) -> str:
        width = max(_LEAST_WIDTH, shutil.get_terminal_size().columns)
        console = Console(file=io.StringIO(), width=width)
        with console.capture() as capture:
            console.print(self)
        lines = [line.rstrip() for line in capture.get().splitlines()]
        return "\n".join(lines).strip("\n") + "\n"

    def __repr__(self) -> str:
        sizes = self.dataset.sizes
        return f"Comparison({sizes['estimator']} estimators, {sizes['seed']} seeds)"

    def _repr_html_(self) -> str:
        return as_html(self.table(), self._texts())

    def _texts(self) -> list[str]:
        return [caption(self.dataset), *self.notes, self.verdict]
