"""What is kept of batches of one kind: graphs, and what they hold for."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any, NamedTuple

from ppvae.capture.graph import Graph, Outputs
from ppvae.capture.verify import State, difference, rounding_of
from ppvae.capture.watched import Watched
from ppvae.capture.work import Switches
from ppvae.capturing import CannotCapture

__all__ = ["Entry", "Kind", "Seen"]


class Seen(NamedTuple):
    """A run as Python: what it started from, gave, and left behind."""

    watched: Watched
    before: State
    truth: Outputs
    after: State

    def refuse_changes(self) -> None:
        """Refuse what a graph would not do again.

        Raises:
            CannotCapture: the run changed what is watched, or drew from other generators.
        """
        changes = self.watched.changed()
        if changes is not None:
            raise CannotCapture(f"{changes} changes while the pair runs")
        if self.before.foreign_draws:
            raise CannotCapture("the pair draws from Python's or NumPy's generator")

    def given_by(self, graph: Graph, batch: Any) -> Outputs:
        """What a graph gives from the state before, if that is the truth.

        Raises:
            CannotCapture: it gives or moves something else.
        """
        rounding = rounding_of(self.truth) if graph.compiled or graph.rounds else 0.0
        try:
            given = graph(batch)
        except RuntimeError as error:
            raise CannotCapture(f"its graph does not run again: {error}") from error
        reason = difference(given, self.truth, rounding) or self.after.differs(rounding)
        if reason is not None:
            raise CannotCapture(f"run as a graph {reason}")
        return given


class Entry:
    """A graph, and the Python values that it holds for."""

    def __init__(self, watched: Watched, graph: Graph) -> None:
        self.watched = watched
        self.graph = graph
        self.runs = 0
        self.refused = False


class Kind:
    """Batches of one signature, the first of which came at some call."""

    def __init__(self, key: Hashable, main: bool, first: int) -> None:
        self.key = key
        self.main = main
        self.first = first
        self.switches: Switches | None = None
        self.entries: list[Entry] = []

    def is_due(self, call: int) -> bool:
        """Whether it is to be captured, if it is not yet."""
        if self.switches is None:
            return False
        compiled = self.switches.inductor if self.main else math.inf
        return call >= min(self.switches.replay, compiled)

    def fitting(self) -> Entry | None:
        """A graph made under the Python values that there are now."""
        for place, entry in enumerate(self.entries):
            if entry.watched.changed() is None:
                if place:
                    self.entries.insert(0, self.entries.pop(place))
                return entry
        return None
