"""What is kept of batches of one kind: graphs, and what they hold for."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from typing import Any, NamedTuple

from ppvae.capture.graph import Compute, Graph, Outputs
from ppvae.capture.internals import unavailable
from ppvae.capture.verify import EXACT, Rounding, State, difference
from ppvae.capture.watched import Watched
from ppvae.capture.work import Switches, Work, counted
from ppvae.capturing import CannotCapture

__all__ = ["Entry", "Kind", "Seen", "looked_at"]

_AT_ONCE = {"replay": Switches(2, math.inf), "inductor": Switches(2, 4)}


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
        inexact = graph.compiled or graph.rounds
        rounding = Rounding.of(self.truth, graph.kinks) if inexact else EXACT
        try:
            given = graph(batch)
        except RuntimeError as error:
            raise CannotCapture(f"its graph does not run again: {error}") from error
        reason = difference(given, self.truth, rounding) or self.after.differs(rounding)
        if reason is not None:
            raise CannotCapture(f"run as a graph {reason}")
        return given


def looked_at(
    compute: Compute, roots: Callable[[], Mapping[str, Any]], batch: Any, tries: int
) -> tuple[Seen, Work]:
    """A run as Python with all that a graph will be held against, and the work that it was.

    Args:
        compute: what is run.
        roots: the objects by name that decide what is computed.
        batch: what it is run on.
        tries: in how many runs it may settle; all but the last leave no trace.

    Raises:
        CannotCapture: no graph can be made of it; the state is that before the run.
    """
    if (missing := unavailable()) is not None:
        raise CannotCapture(missing)
    for left in reversed(range(tries)):
        watched = Watched(roots())
        before = State(watched.tensors)
        truth, work = counted(compute, batch)
        try:
            same = watched.changed() is None
            settled = watched if same else watched.settled(Watched(roots()))
        except CannotCapture:
            before.put_back()
            raise
        if settled is not None or not left:
            break
        before.put_back()
    return Seen(settled or watched, before, truth, State(watched.tensors)), work


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

    def settle(self, work: Work, mode: str, steps: int | None) -> None:
        """Fix at which calls its batches are captured and compiled, if that is still open."""
        if self.switches is None:
            every = 1 if self.main else self.first
            self.switches = _AT_ONCE.get(mode) or Switches.of(work, steps, every)

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
