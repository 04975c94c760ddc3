"""Graphs that one run lends to the next, of pairs that were built in the same way."""

from __future__ import annotations

from collections.abc import Hashable

from ppvae.capture.graph import Graph
from ppvae.capture.watched import Watched

__all__ = ["MODES", "Shared"]

MODES = ("auto", "replay", "inductor", "off")


class Shared:
    """How steps are computed in several runs of one experiment, which share what was captured.

    A run that finds a graph made under the same Python values, with tensors of the same names and
    kinds, takes it over; it is held against Python as if it were its own.

    Args:
        mode: "auto", "replay", "inductor" or "off".
        runs: how many there will be.

    Raises:
        ValueError: an unknown mode.
    """

    def __init__(self, mode: str = "auto", runs: int = 1) -> None:
        if mode not in MODES:
            raise ValueError(f"compile must be one of {', '.join(MODES)}; got {mode!r}.")
        self.mode = mode
        self.runs = runs
        self._graphs: dict[Hashable, list[tuple[Watched, Graph]]] = {}

    def lend(self, key: Hashable, watched: Watched) -> Graph | None:
        """A graph for batches of a signature, moved to the tensors of a look; None if none fits."""
        for made_under, graph in self._graphs.get(key, []):
            if watched.alike(made_under):
                return graph.moved_to(watched.tensors)
        return None

    def keep(self, key: Hashable, watched: Watched, graph: Graph) -> None:
        """Take in a graph that was verified, if others can use it."""
        if self.runs > 1 and graph.movable:
            self._graphs.setdefault(key, []).append((watched, graph))
