"""A report and what a paper takes from it, as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ppvae.atomic import write_whole
from ppvae.report.embed import as_pdf
from ppvae.report.latex import as_latex
from ppvae.report.page import Page, Table
from ppvae.report.render import as_html

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["write_report"]


def write_report(folder: Path, page: Page, *, table: Table, figures: Sequence[Figure]) -> None:
    """Write report.html, table.tex and figure.pdf into a folder, each file whole.

    Args:
        folder: that exists.
        page: the report.
        table: what a paper would print of it.
        figures: likewise, each on a page of its own.

    Raises:
        OSError: the folder cannot be written to.
    """
    write_whole(folder / "report.html", as_html(page))
    write_whole(folder / "table.tex", as_latex(table))
    write_whole(folder / "figure.pdf", as_pdf(figures))
