"""What a report says, before it is HTML: text, tables and pictures in sections."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Block", "Page", "Picture", "Pictures", "Section", "Table"]


@dataclass(frozen=True)
class Table:
    """A table of cells that are text already.

    Args:
        columns: the cells of each column by its heading, all of one length; the first column names
            the rows.
        caption: what the table shows, with units.
        words: headings of the columns that hold words; the others hold numbers, set to the right.

    Raises:
        ValueError: columns of different lengths, or none.
    """

    columns: Mapping[str, Sequence[str]]
    caption: str = ""
    words: Collection[str] = ()

    def __post_init__(self) -> None:
        lengths = {name: len(cells) for name, cells in self.columns.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"columns must be at least one, all of one length; got {lengths}.")

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """The cells row by row."""
        return list(zip(*self.columns.values(), strict=True))

    def is_words(self, name: str) -> bool:
        """Whether a column holds words, as the first one does."""
        return name in self.words or name == next(iter(self.columns))


@dataclass(frozen=True)
class Picture:
    """A figure with its caption.

    Args:
        figure: as it is to be seen at its own size, text included; screens narrower than that
            shrink it.
        caption: what it shows.
        alt: what it shows, for who cannot see it.
        in_pixels: whether it is made of pixels, as images are; lines stay sharp otherwise.
    """

    figure: Figure
    caption: str
    alt: str
    in_pixels: bool = False


@dataclass(frozen=True)
class Pictures:
    """Pictures side by side, as many as there is room for.

    Args:
        pictures: in reading order.
        least: pixels that each is given at least, where the page is that wide.
    """

    pictures: Sequence[Picture]
    least: int = 320


Block = str | Table | Pictures


@dataclass(frozen=True)
class Section:
    """Blocks under a heading; a ``str`` is a paragraph."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Page:
    """A report, in the order in which it is read.

    Args:
        title: what was done to what.
        question: what it was done for, in one sentence.
        verdict: the answer, a paragraph each.
        sections: what it rests on.
        settings: what decides the numbers, in words by name.
        versions: of everything that took part, and the machine, by name.
        command: what repeats it in a shell; empty where it was started from Python.
        notes: what went wrong or was left out.
    """

    title: str
    question: str
    verdict: Sequence[str]
    sections: Sequence[Section]
    settings: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    notes: Sequence[str] = ()
