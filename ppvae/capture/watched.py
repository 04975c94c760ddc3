"""The Python values that a pair is made of, so that a change of one is noticed.

A graph holds what was computed, not the Python that computed it: a number in an attribute or a
closure, a training flag or another tensor in the place of the first would go unseen.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ppvae.capture.places import Place, of_class, of_function, of_object
from ppvae.capture.values import PLAIN, is_library, same
from ppvae.capturing import CannotCapture

__all__ = ["Watched"]

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
        for name, tensor, (dtype, device, shape, moved) in self._kinds:
            if (
                tensor.dtype is not dtype
                or tensor.requires_grad is not moved
                or tensor.shape != shape
                or tensor.device != device
            ):
                return name
        for name, array, values in self._arrays:
            if array.tobytes() != values:
                return name
        return None

    def settled(self, again: Watched) -> Watched | None:
        """The later of two looks, without what the program writes anew in each run.

        That may be left out where it came out the same in both; otherwise there is none.
        """
        mine, its = (
            (w._names, w._lengths_by_name, [v for *_, v in w._arrays]) for w in (self, again)
        )
        if mine != its:
            return None
        written = []
        for name, (*_, old), (*_, new) in zip(self._names, self._slots, again._slots, strict=True):
            if old is new or same(old, new):
                continue
            if isinstance(old, PLAIN) or type(old) is not type(new):
                return None
            if isinstance(old, Tensor) and not (old.shape == new.shape and torch.equal(old, new)):
                return None
            written.append(name)
        again._forget(tuple(written))
        return again

    def alike(self, other: Watched) -> bool:
        """Whether two pairs have the same values in the same places, and tensors of one kind."""
        kinds = ([(name, kind) for name, _, kind in w._kinds] for w in (self, other))
        arrays = ([(name, values) for name, _, values in w._arrays] for w in (self, other))
        return (
            self._names == other._names
            and self._lengths_by_name == other._lengths_by_name
            and _equal(kinds)
            and _equal(arrays)
            and all(
                _alike(one, two)
                for (*_, one), (*_, two) in zip(self._slots, other._slots, strict=True)
            )
        )

    @property
    def _lengths_by_name(self) -> list[tuple[str, int]]:
        return [(name, length) for name, _, length in self._lengths]

    def _forget(self, written: Sequence[str]) -> None:
        """Look no more at what stands under some names."""
        kept = [not _under(name, written) for name in self._names]
        self._slots = [slot for slot, keep in zip(self._slots, kept, strict=True) if keep]
        self._names = [name for name, keep in zip(self._names, kept, strict=True) if keep]
        self._lengths = [each for each in self._lengths if not _under(each[0], written)]
        self._kinds = [each for each in self._kinds if not _under(each[0], written)]
        self._arrays = [each for each in self._arrays if not _under(each[0], written)]
        self.tensors = {n: t for n, t in self.tensors.items() if not _under(n, written)}

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
            self._each((f"{name}[{key!r}]", value.get, key, v) for key, v in value.items())
        elif isinstance(value, list | tuple):
            self._sequence(name, value)
        elif isinstance(value, set | frozenset):
            self._slot(name, lambda _: frozenset(value), None, frozenset(value))
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
        get = values.__getitem__ if isinstance(values, list) else None
        self._each((f"{name}[{i}]", get, i, v) for i, v in enumerate(values))

    def _meet_object(self, name: str, value: Any) -> None:
        if isinstance(value, types.FunctionType):
            self._each(of_function(name, value))
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
        self._each(of_object(name, value))
        for kind in type(value).__mro__:
            if not is_library(kind.__module__) and id(kind) not in self._met:
                self._met[id(kind)] = kind
                self._each(of_class(name, kind))

    def _each(self, places: Iterable[Place]) -> None:
        for name, get, key, value in list(places):
            if isinstance(value, types.ModuleType):
                continue
            if get is not None:
                self._slot(name, get, key, value)
            self._meet(name, value)

    def _length(self, name: str, container: Any) -> None:
        self._lengths.append((name, container, len(container)))

    def _slot(self, name: str, get: Callable[[Any], Any], key: Any, value: Any) -> None:
        self._names.append(name)
        self._slots.append((get, key, value))
        if len(self._slots) > _MOST:
            raise CannotCapture(f"the pair reaches more than {_MOST} Python values")


def _equal(both: Iterable[Any]) -> bool:
    one, two = both
    return bool(one == two)


def _alike(one: Any, two: Any) -> bool:
    if isinstance(one, types.FunctionType) and isinstance(two, types.FunctionType):
        return one.__code__ is two.__code__
    return one is two or same(one, two) or (type(one) is type(two) and not isinstance(one, PLAIN))


def _under(name: str, others: Sequence[str]) -> bool:
    """Whether a name is one of others, or of a part of what one of them names."""
    return any(name == other or name.startswith((f"{other}.", f"{other}[")) for other in others)


def _kind(tensor: Tensor) -> Any:
    return tensor.dtype, tensor.device, tensor.shape, tensor.requires_grad
