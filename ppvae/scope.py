"""The parameters that a pair meets when it runs, kept apart from everybody else's.

A module's parameter is that module's tensor, found by identity; a named ``pyro.param`` lives in a
store of the pair's own. Pyro's global store, where two networks of one name share their weights
in silence, is neither read nor written.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pyro
from pyro.poutine.messenger import Messenger
from pyro.poutine.runtime import _PYRO_STACK
from pyro.poutine.trace_messenger import TraceMessenger
from torch import nn
from torch.distributions import constraints
from torch.utils.weak import WeakIdKeyDictionary

__all__ = ["ByIdentity", "Program", "Scope", "anchor", "scope_of"]

Program = Callable[..., Any]


class Scope:
    """What outlives any one use of a pair: its named params, and what was learned of its shape.

    It holds no reference to model or guide, so that the registry below lets go of them.

    Attributes:
        registered: the ``nn.Parameter`` s met in ``pyro.param`` messages, by name.
        plate_nesting: how many dimensions the plates take up; None before the first run.
        vectorized: whether K draws share one plate; None before it was tried.
        asked: the fields that the signatures of "model" and "guide" ask for.
        buffered: whether the networks keep running statistics; None before it was asked.
        noisy: whether the programs draw more than their sites; None before it was asked.
        dependencies: which draws each log-density depends on, by the sites that there are.
    """

    def __init__(self) -> None:
        self._store: dict[str, dict[str, Any]] = {"params": {}, "constraints": {}}
        self.registered: dict[str, list[nn.Parameter]] = {}
        self.plate_nesting: int | None = None
        self.vectorized: bool | None = None
        self.asked: dict[str, dict[str, bool] | None] = {}
        self.buffered: bool | None = None
        self.noisy: bool | None = None
        self.dependencies: dict[tuple[str, ...], Any] = {}
        self.runs = 0
        self._depth = 0

    @property
    def active(self) -> bool:
        """Whether the pair is running in this scope now."""
        return self._depth > 0

    @property
    def store(self) -> dict[str, dict[str, Any]]:
        """The state of the pair's own param store: named params and their constraints."""
        return pyro.get_param_store().get_state() if self.active else self._store  # type: ignore

    @property
    def size(self) -> int:
        """How many parameters were met so far: it grows when a program makes a new one."""
        named = len(pyro.get_param_store() if self.active else self._store["params"])
        return named + sum(map(len, self.registered.values()))

    def share(self, other: Scope) -> None:
        """Take the named params of another pair as one's own: each sees what the other changes."""
        self._store = other._store

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Run the pair inside this.

        Under Pyro's own SVI, which collects the parameters itself, it does nothing.
        """
        if self.active or _collected_elsewhere():
            yield
            return
        self._depth += 1
        try:
            with pyro.get_param_store().scope(self._store):  # type: ignore[arg-type]
                yield
            self.runs += 1
        finally:
            self._depth -= 1


class ByIdentity(Messenger):
    """Answers ``pyro.param(name, parameter)`` with that very parameter."""

    def __init__(self, scope: Scope) -> None:
        super().__init__()
        self.scope = scope

    def _pyro_param(self, msg: Any) -> None:
        init = msg["args"][1] if len(msg["args"]) > 1 else None
        constraint = msg["kwargs"].get("constraint", constraints.real)
        if not isinstance(init, nn.Parameter) or constraint is not constraints.real:
            return
        name = msg["args"][0]
        met = self.scope.registered.setdefault(name, [])
        if not any(parameter is init for parameter in met):
            if met and self.scope.runs:
                raise ValueError(
                    f"pyro.param '{name}' must name the same nn.Parameter in every run; "
                    "got a new one."
                )
            met.append(init)
        msg["value"] = init


def anchor(program: Program) -> tuple[Any, str]:
    """The object that lives as long as the program does, and the name of the method on it."""
    if inspect.ismethod(program):
        return program.__self__, program.__func__.__qualname__
    return program, ""


# By identity: a program may be unhashable, or equal to another, as instances of a dataclass are.
_SCOPES = WeakIdKeyDictionary()


def scope_of(model: Program, guide: Program) -> Scope:
    """The one scope of a pair, whoever asks for it."""
    (model_key, model_method), (guide_key, guide_method) = anchor(model), anchor(guide)
    by_guide = _SCOPES.setdefault(model_key, WeakIdKeyDictionary())
    by_method: dict[tuple[str, str], Scope] = by_guide.setdefault(guide_key, {})
    return by_method.setdefault((model_method, guide_method), Scope())


def _collected_elsewhere() -> bool:
    return any(isinstance(h, TraceMessenger) and h.param_only for h in _PYRO_STACK)
