"""The Python values that a pair is made of, so that a change of one is noticed.

A graph holds what was computed, not the Python that computed it: a number in an attribute or a
closure, a training flag or another tensor in the place of the first would go unseen.
"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ppvae.capture.values import (
    PLAIN,
    content,
    content_of,
    holds_numbers,
    is_library,
    is_own_module,
    names_in,
    same,
    slot_content,
)
from ppvae.capturing import CannotCapture

__all__ = ["Watched"]

# What a module keeps for itself and does not compute with.
_OF_MODULES = frozenset(
    {
        "_compiled_call_impl",
        "_non_persistent_buffers_set",
        "_is_full_backward_hook",
        "_forward_hooks_with_kwargs",
        "_forward_hooks_always_called",
        "_forward_pre_hooks_with_kwargs",
        "_state_dict_hooks",
        "_state_dict_pre_hooks",
        "_load_state_dict_pre_hooks",
        "_load_state_dict_post_hooks",
    }
)
_MOST = 20_000
_MOST_NUMBERS = 4096

Slot = tuple[Callable[[Any], Any], Any, Any]


class Watched:
    """What can be reached from some roots by attributes, containers, closures and globals.

    Args:
        roots: programs, modules and other objects by name.

    Attributes:
        tensors: those that were met, by name, each once.

    Raises:
        CannotCapture: there is more than can be looked at in each step.
    """

    def __init__(self, roots: Mapping[str, Any]) -> None:
        self.tensors: dict[str, Tensor] = {}
        self._names: list[str] = []
        self._slots: list[Slot] = []
        self._lengths: list[tuple[str, Any, int]] = []
        self._kinds: list[tuple[str, Tensor, Any]] = []
        self._arrays: list[tuple[str, Any, bytes]] = []
        self._met: dict[int, Any] = {}
        for name, root in roots.items():
            self._meet(name, root)

    def changed(self) -> str | None:
        """The name of the first value that is not what it was; None if all are."""
        for number, (get, key, value) in enumerate(self._slots):
            now = get(key)
            if now is not value and not same(now, value):
                return self._names[number]
        for name, container, length in self._lengths:
            if len(container) != length:
                return name
        for name, tensor, kind in self._kinds:
            if _kind(tensor) != kind:
                return name
        for name, array, values in self._arrays:
            if array.tobytes() != values:
                return name
        return None

    def _meet(self, name: str, value: Any) -> None:
        if isinstance(value, PLAIN) or id(value) in self._met:
            return
        # Held, so that no other object takes its id.
        self._met[id(value)] = value
        if isinstance(value, Tensor):
            self._meet_tensor(name, value)
        elif isinstance(value, np.ndarray):
            self._meet_array(name, value)
        elif isinstance(value, Mapping):
            self._length(name, value)
            self._each(value.get, ((f"{name}[{key!r}]", key, v) for key, v in value.items()))
        elif isinstance(value, list | tuple):
            self._sequence(name, value)
        elif isinstance(value, set | frozenset):
            self._slot(name, _itself(value, frozenset), None, frozenset(value))
        else:
            self._meet_object(name, value)

    def _meet_tensor(self, name: str, tensor: Tensor) -> None:
        self.tensors[name] = tensor
        self._kinds.append((name, tensor, _kind(tensor)))

    def _meet_array(self, name: str, array: Any) -> None:
        if array.size > _MOST_NUMBERS:
            raise CannotCapture(f"the NumPy array {name} is too large to be watched; use a tensor")
        self._arrays.append((name, array, array.tobytes()))

    def _sequence(self, name: str, values: Sequence[Any]) -> None:
        self._length(name, values)
        if len(values) > _MOST_NUMBERS:
            raise CannotCapture(f"{name} is too long to be watched; use a tensor")
        if isinstance(values, list):
            self._each(values.__getitem__, ((f"{name}[{i}]", i, v) for i, v in enumerate(values)))
        else:
            for i, value in enumerate(values):
                self._meet(f"{name}[{i}]", value)

    def _meet_object(self, name: str, value: Any) -> None:
        if isinstance(value, types.FunctionType):
            self._function(name, value)
        elif isinstance(value, types.MethodType):
            self._meet(name, value.__self__)
            self._meet(name, value.__func__)
        elif isinstance(value, functools.partial):
            self._meet(f"{name}.func", value.func)
            self._sequence(f"{name}.args", value.args)
            self._meet(f"{name}.keywords", value.keywords)
        elif isinstance(value, type | types.ModuleType | torch.Generator):
            return
        else:
            self._attributes(name, value)

    def _attributes(self, name: str, value: Any) -> None:
        own = getattr(value, "__dict__", {})
        hidden = _OF_MODULES if isinstance(value, nn.Module) else frozenset()
        self._each(
            own.get, ((_joined(name, key), key, v) for key, v in own.items() if key not in hidden)
        )
        for kind in type(value).__mro__:
            if not is_library(kind.__module__):
                self._slots_of(name, kind, value)
                self._class(name, kind)

    def _slots_of(self, name: str, kind: type, value: Any) -> None:
        keys = vars(kind).get("__slots__", ())
        get = functools.partial(slot_content, value)
        self._each(
            get, ((f"{name}.{k}", k, get(k)) for k in ([keys] if isinstance(keys, str) else keys))
        )

    def _class(self, name: str, kind: type) -> None:
        """Numbers that stand in the class, and what its functions take from outside."""
        if id(kind) in self._met:
            return
        self._met[id(kind)] = kind
        own = vars(kind)
        plain = {k: v for k, v in own.items() if not k.startswith("__") and holds_numbers(v)}
        self._each(own.get, ((f"{name}.{key}", key, v) for key, v in plain.items()))
        for member in own.values():
            function = inspect.unwrap(getattr(member, "fget", None) or member)
            if isinstance(function, types.FunctionType):
                self._meet(f"{name}.{function.__name__}", function)

    def _function(self, name: str, function: types.FunctionType) -> None:
        if is_library(function.__module__):
            return
        for variable, cell in zip(
            function.__code__.co_freevars, function.__closure__ or (), strict=True
        ):
            inside = content(cell)
            self._slot(variable, content_of(cell), None, inside)
            self._meet(variable, inside)
        self._meet(f"{name}'s defaults", function.__defaults__)
        self._meet(f"{name}'s defaults", function.__kwdefaults__)
        space = function.__globals__
        names = set(names_in(function.__code__))
        self._each(space.get, ((key, key, space[key]) for key in sorted(names & space.keys())))
        for module in [v for k, v in space.items() if k in names and is_own_module(v)]:
            inside = vars(module)
            self._each(
                inside.get,
                (
                    (f"{module.__name__}.{key}", key, inside[key])
                    for key in sorted(names & inside.keys())
                ),
            )
        self._meet(name, getattr(function, "__wrapped__", None))

    def _each(self, get: Callable[[Any], Any], entries: Iterable[tuple[str, Any, Any]]) -> None:
        for name, key, value in list(entries):
            if not isinstance(value, types.ModuleType):
                self._slot(name, get, key, value)
                self._meet(name, value)

    def _length(self, name: str, container: Any) -> None:
        self._lengths.append((name, container, len(container)))

    def _slot(self, name: str, get: Callable[[Any], Any], key: Any, value: Any) -> None:
        self._names.append(name)
        self._slots.append((get, key, value))
        if len(self._slots) > _MOST:
            raise CannotCapture(f"the pair reaches more than {_MOST} Python values")


def _kind(tensor: Tensor) -> Any:
    return tensor.dtype, tensor.device, tensor.shape, tensor.requires_grad


def _itself(container: Any, of: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda _: of(container)


def _joined(name: str, key: str) -> str:
    """An attribute's name, without the dictionaries that a module keeps its parts in."""
    return name if key in {"_parameters", "_buffers", "_modules"} else f"{name}.{key}"
