"""Figures as bytes: inside a page, and as a file of their own."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["as_pdf", "data_uri", "pixels"]

# CSS pixels in an inch; PNGs have twice as many for screens that show them.
_PIXELS = 96


def pixels(figure: Figure) -> tuple[int, int]:
    """Width and height of a figure in CSS pixels."""
    width, height = figure.get_size_inches()
    return round(width * _PIXELS), round(height * _PIXELS)


def data_uri(figure: Figure, *, in_pixels: bool) -> str:
    """A figure as a ``data:`` address, SVG or PNG at twice its size."""
    import matplotlib

    content = io.BytesIO()
    if in_pixels:
        figure.savefig(content, format="png", dpi=2 * _PIXELS)
    else:
        # Without a salt the names inside are random: one figure, one text.
        with matplotlib.rc_context({"svg.hashsalt": "ppvae"}):
            figure.savefig(content, format="svg", metadata={"Date": None})
    kind = "png" if in_pixels else "svg+xml"
    return f"data:image/{kind};base64,{base64.b64encode(content.getvalue()).decode()}"


def as_pdf(figures: Sequence[Figure]) -> bytes:
    """Figures as a PDF with a page for each, fonts inside."""
    import matplotlib
    from matplotlib.backends.backend_pdf import PdfPages

    content = io.BytesIO()
    # Many publishers refuse fonts of type 3, which are matplotlib's default.
    with (
        matplotlib.rc_context({"pdf.fonttype": 42}),
        PdfPages(content, metadata={"CreationDate": None}) as pages,
    ):
        for figure in figures:
            pages.savefig(figure)
    return content.getvalue()
