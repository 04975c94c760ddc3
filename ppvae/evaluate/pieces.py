"""How many draws and rows are scored at once: as many as fit a fixed budget of memory."""

from __future__ import annotations

import contextlib
import gc
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch

from ppvae.live_bytes import Live

__all__ = [
    "BUDGET",
    "Bytes",
    "Pieces",
    "evenly",
    "keep_freed_memory",
    "measured",
    "most_even",
    "pieces",
]

# Bytes of the tensors of one piece that live at once. On a CPU what stays in a cache shared by
# the cores (some 32 MB) is scored fastest; a GPU wants long tensors. Free memory does not decide:
# the draws would depend on who else is on the machine.
BUDGET = {"cpu": 2**25, "cuda": 2**30}

# A piece of this share of the budget tells what a whole one takes. One draw is to take less, so
# that it is not what the guide computes of the rows that decides.
_SHARE, _SHARE_OF_ONE_DRAW = 1 / 4, 1 / 16


class Pieces(NamedTuple):
    """How many draws and rows are scored at once."""

    draws: int
    rows: int


class Bytes(NamedTuple):
    """What a piece takes, for each of its draws and rows.

    Attributes:
        alone: of one draw.
        each: of many draws, which share what the guide computes of a row.
    """

    alone: float
    each: float


def measured(
    piece: Callable[[int, int], Any], num_rows: int, num_particles: int, budget: float
) -> Bytes:
    """The most bytes of tensors that live at once in small pieces, for each draw and row.

    The draws are doubled until a piece takes a good part of the budget. Whatever part of the
    computation takes the most, the memory for each draw and row falls with their number, so that
    a whole piece takes no more than it should.

    Args:
        piece: scores so many draws of so many rows.
        num_rows: the most rows it may be given.
        num_particles: the most draws.
        budget: in bytes.
    """
    with _freed_by_reference_counts():
        alone = _peak(piece, 1, num_rows) / num_rows
        rows = min(num_rows, max(1, int(_SHARE_OF_ONE_DRAW * budget / alone)))
        draws, taken = 1, _peak(piece, 1, rows)
        while draws < num_particles and taken < _SHARE * budget:
            draws = min(2 * draws, num_particles)
            taken = _peak(piece, draws, rows)
        return Bytes(alone, taken / (draws * rows))


def _peak(piece: Callable[[int, int], Any], draws: int, num_rows: int) -> int:
    with Live() as live:
        piece(draws, num_rows)
    return max(1, live.peak)


def most_even(num_rows: int, num_particles: int, at_once: int) -> int:
    """Draws times rows of a piece, at most so many, with which most pieces are alike.

    Pieces of one shape can be served by one graph.

    Args:
        num_rows: N.
        num_particles: K, or 1 where draws are looped.
        at_once: the most draws times rows.
    """
    if num_particles > at_once:
        return evenly(num_particles, at_once)
    return num_particles * evenly(num_rows, at_once // num_particles)


def evenly(total: int, most: int) -> int:
    """The size of equal pieces, as few as can be; of nearly equal ones if these are too many."""
    fewest = math.ceil(total / most)
    equal = (n for n in range(fewest, 2 * fewest) if total % n == 0)
    return math.ceil(total / next(equal, fewest))


def pieces(num_rows: int, num_particles: int, at_once: int) -> Pieces:
    """How many draws and rows to score at once.

    Args:
        num_rows: N.
        num_particles: K, or 1 where draws are looped: each is a run of its own.
        at_once: the most draws times rows.
    """
    draws = min(num_particles, at_once)
    return Pieces(draws, min(num_rows, max(1, at_once // draws)))


def keep_freed_memory() -> None:
    """Let the C library keep what pieces free on a CPU, for the next one.

    It gives the end of its heap back to the system, which clears it page by page when it comes
    again: a quarter of the time of a convolutional pair. It stops where a block as large as what
    pieces take was freed before (``man mallopt``, M_MMAP_THRESHOLD); this one is never written to.
    """
    torch.empty(max(0, BUDGET["cpu"] - 2**13), dtype=torch.uint8)


@contextlib.contextmanager
def _freed_by_reference_counts() -> Iterator[None]:
    """Without the garbage collector, whose moments would make what is measured differ."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
