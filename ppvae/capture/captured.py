"""A computation that runs as Python until a graph of it can be trusted."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Mapping
from typing import Any

from ppvae.capture.entries import Entry, Kind, Seen, looked_at
from ppvae.capture.graph import Compute, Graph, Outputs
from ppvae.capture.shared import Shared
from ppvae.capture.signature import signature, tensors_of
from ppvae.capture.verify import State
from ppvae.capture.work import counted
from ppvae.capturing import CannotCapture

__all__ = ["Captured"]

# In so many runs of a graph one is held against Python.
_SPOT_CHECK = 1000
# Values of watched attributes that get a graph each, for batches of one kind.
_MOST_GRAPHS = 4
# Runs in which a program may settle, in a process that goes on from elsewhere.
_TRIES = 3


class Captured:
    """Runs a computation of a pair, as Python or as a graph of the same numbers.

    A graph is made at a step that is fixed in advance, held against Python from the same state on
    two batches and at one run in a thousand, and used while all that it was made under is the
    same. What cannot be captured runs as Python, and one warning says why.

    Args:
        compute: from a batch, (args, fields), to tensors in any nesting; it may move generators
            and buffers and nothing else.
        roots: the objects by name that decide what is computed, asked anew for each graph.
        mode: "auto", "replay" or "inductor"; "off" always runs it as Python; or shared by runs.
        what: the word for one run of it, in warnings.

    Attributes:
        shared: the mode, and graphs that runs have in common.
        calls: how many batches came, with those before a run was resumed.
        how: how the last one was computed: "eager", "replay" or "inductor".
        compiled_from: the first call that ran compiled code; None if none did.
        reason: why it runs as Python for good; None if it does not.

    Raises:
        ValueError: an unknown mode.
    """

    def __init__(
        self,
        compute: Compute,
        roots: Callable[[], Mapping[str, Any]],
        mode: str | Shared = "auto",
        what: str = "step",
    ) -> None:
        self._compute = compute
        self._what = what
        self._roots = roots
        self.shared = mode if isinstance(mode, Shared) else Shared(mode)
        self.calls = 0
        self.reason: str | None = None
        self._kinds: dict[Hashable, Kind] = {}
        self._ran = False  # in this process, so that a program has settled
        self._steps: int | None = None
        self._rows: int | None = None
        self.how = "eager"
        self.compiled_from: int | None = None

    def begin(self, steps: int | None, rows: int | None, step: int = 0) -> None:
        """Take in how many steps of how many rows the run has, and how many it took before.

        Batches of other sizes are replayed and never compiled.
        """
        self._steps, self._rows, self.calls = steps, rows, step
        for kind in self._kinds.values():
            kind.replay()

    @property
    def _all_steps(self) -> int | None:
        return None if self._steps is None else self._steps * self.shared.runs

    @property
    def begun(self) -> tuple[int | None, int | None, int]:
        """What :meth:`begin` was told, and how many calls there were."""
        return self._steps, self._rows, self.calls

    def __call__(self, batch: Any) -> Outputs:
        """What is computed from a batch."""
        self.calls += 1
        self.how = "eager"
        if self.shared.mode == "off" or self.reason is not None:
            return self._compute(batch)
        try:
            key = signature(batch)
        except CannotCapture as refusal:
            self._give_up(str(refusal))
            return self._compute(batch)
        kind = self._kinds.get(key)
        if kind is None:
            kind = self._kinds[key] = Kind(key, self._is_main(batch), self.calls)
        entry = kind.fitting()
        if entry is None:
            return self._as_python(kind, batch)
        return self._as_graph(kind, entry, batch)

    def _as_python(self, kind: Kind, batch: Any) -> Outputs:
        # In the first run parameters come to exist.
        if self.calls == 1 or (kind.switches is not None and not kind.is_due(self.calls)):
            self._ran = True
            return self._compute(batch)
        if len(kind.entries) == _MOST_GRAPHS:
            self._give_up(f"{kind.entries[0].watched.changed()} has another value again and again")
            return self._compute(batch)
        try:
            seen = self._seen(kind, batch)
        except CannotCapture as refusal:
            return self._unwatched(kind, batch, str(refusal))
        if not kind.is_due(self.calls):
            return seen.truth
        try:
            return self._captured(kind, batch, seen)
        except CannotCapture as refusal:
            seen.after.put_back()
            self._give_up(str(refusal))
            return seen.truth

    def _unwatched(self, kind: Kind, batch: Any, reason: str) -> Outputs:
        """A run as Python of what no graph can be made of, which matters where one is due."""
        self._ran = True
        truth, work = counted(self._compute, batch)
        kind.settle(work, self.shared.mode, self._all_steps)
        if kind.is_due(self.calls):
            self._give_up(reason)
        return truth

    def _seen(self, kind: Kind, batch: Any) -> Seen:
        seen, work = looked_at(self._compute, self._roots, batch, 1 if self._ran else _TRIES)
        self._ran = True
        kind.settle(work, self.shared.mode, self._all_steps)
        return seen

    def _captured(self, kind: Kind, batch: Any, seen: Seen) -> Outputs:
        seen.refuse_changes()
        seen.before.put_back()
        entry, given = self._lent(kind, batch, seen) or self._traced(kind, batch, seen)
        kind.entries.insert(0, entry)
        if self._is_compiled(kind, entry):
            return self._compiled(seen, entry, batch)
        return self._launched(seen, entry, batch, given)

    def _lent(self, kind: Kind, batch: Any, seen: Seen) -> tuple[Entry, Outputs] | None:
        graph = self.shared.lend(kind.key, seen.watched)
        if graph is None:
            return None
        entry = Entry(seen.watched, graph)
        try:
            return entry, self._held_against(seen, entry, batch)
        except CannotCapture:  # another computation after all
            seen.before.put_back()
            return None

    def _traced(self, kind: Kind, batch: Any, seen: Seen) -> tuple[Entry, Outputs]:
        entry = Entry(seen.watched, Graph(self._compute, batch, seen.watched.tensors))
        seen.before.put_back()
        given = self._held_against(seen, entry, batch)
        self.shared.keep(kind.key, seen.watched, entry.graph)
        return entry, given

    def _as_graph(self, kind: Kind, entry: Entry, batch: Any) -> Outputs:
        entry.runs += 1
        if self._is_compiled(kind, entry) and not entry.graph.compiled:
            return self._compiled(self._seen_again(entry, batch), entry, batch)
        if entry.runs == 1 or entry.runs % _SPOT_CHECK == 0:
            return self._checked(entry, batch)
        self.how = "inductor" if entry.graph.compiled else "replay"
        return entry.graph(batch)

    def _seen_again(self, entry: Entry, batch: Any) -> Seen:
        before = State(entry.watched.tensors)
        truth = self._compute(batch)
        return Seen(entry.watched, before, truth, State(entry.watched.tensors))

    def _checked(self, entry: Entry, batch: Any) -> Outputs:
        """The graph's outputs if they agree with those of Python, else these, for good."""
        seen = self._seen_again(entry, batch)
        try:
            seen.refuse_changes()
            seen.before.put_back()
            return self._held_against(seen, entry, batch)
        except CannotCapture as refusal:
            seen.after.put_back()
            self._give_up(str(refusal))
            return seen.truth

    def _held_against(self, seen: Seen, entry: Entry, batch: Any) -> Outputs:
        given = seen.given_by(entry.graph, batch)
        self.how = "inductor" if entry.graph.compiled else "replay"
        return given

    def _is_compiled(self, kind: Kind, entry: Entry) -> bool:
        return not entry.refused and self.calls >= kind.compiled_from

    def _compiled(self, seen: Seen, entry: Entry, batch: Any) -> Outputs:
        """What compiled code gives, from now on, if that is right; else the graph is replayed."""
        seen.before.put_back()
        try:
            entry.graph.compile(batch)
            given = self._held_against(seen, entry, batch)
        except CannotCapture as refusal:
            entry.refused = True
            entry.graph.replay()
            seen.after.put_back()
            self._warn(f"the {self._what} is replayed and not compiled, since {refusal}")
            return self._launched(seen, entry, batch, seen.truth)
        if self.compiled_from is None:
            self.compiled_from = self.calls
        return self._launched(seen, entry, batch, given)

    def _launched(self, seen: Seen, entry: Entry, batch: Any, given: Outputs) -> Outputs:
        """On a GPU, what comes out where all operations are launched together, from now on."""
        if not entry.graph.is_launchable(batch):
            return given
        seen.before.put_back()
        try:
            entry.graph.launch(batch)
            seen.before.put_back()
            return self._held_against(seen, entry, batch)
        except CannotCapture as refusal:
            entry.graph.launch_one_by_one()
            seen.after.put_back()
            self._warn(f"operations are launched one by one, since {refusal}")
            return given

    def _is_main(self, batch: Any) -> bool:
        if self._rows is None:
            return not self._kinds
        given = tensors_of(batch)
        return bool(given) and given[0].dim() > 0 and len(given[0]) == self._rows

    def _give_up(self, reason: str) -> None:
        self.reason = reason
        self.how = "eager"
        self._kinds.clear()
        self._warn(f"each {self._what} runs as Python, since {reason}")

    def _warn(self, text: str) -> None:
        warnings.warn(text, stacklevel=6)
