"""What is kept of batches of one kind: graphs, and what they hold for."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import NamedTuple

from ppvae.capture.graph import Graph, Outputs
from ppvae.capture.verify import State
from ppvae.capture.watched import Watched
from ppvae.capture.work import Switches

__all__ = ["Entry", "Kind", "Seen"]


class Seen(NamedTuple):
    """A run as Python: what it started from, gave, and left behind."""

    watched: Watched
    before: State
    truth: Outputs
    after: State


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
