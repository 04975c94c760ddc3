"""What is kept of batches of one kind: graphs, and what they hold for."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any, NamedTuple

from ppvae.capture.graph import Graph, Outputs
from ppvae.capture.verify import EXACT, Rounding, State, difference
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
        rounding = Rounding.of(self.truth) if graph.compiled or graph.rounds else EXACT
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

    @property
    def compiled_from(self) -> float:
        """The first call that is to run compiled code."""
        return math.inf if self.switches is None or not self.main else self.switches.inductor

    def is_due(self, call: int) -> bool:
        """Whether it is to be captured, if it is not yet."""
        return self.switches is not None and call >= min(self.switches.replay, self.compiled_from)

    def replay(self) -> None:
        """Compile nothing that was compiled, before it is due again."""
        for entry in self.entries:
            entry.graph.replay()

    def fitting(self) -> Entry | None:
        """A graph made under the Python values that there are now."""
        for place, entry in enumerate(self.entries):
            if entry.watched.changed() is None:
                if place:
                    self.entries.insert(0, self.entries.pop(place))
                return entry
        return None
