"""Plain Python values, and where in a program they stand."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = [
    "PLAIN",
    "content",
    "content_of",
    "holds_numbers",
    "is_library",
    "is_own_module",
    "names_in",
    "same",
    "slot_content",
]

PLAIN = (
    bool,
    int,
    float,
    complex,
    str,
    bytes,
    types.NoneType,
    torch.dtype,
    torch.device,
    torch.Size,
    range,
    slice,
)
# Their functions are not looked into; what their objects hold is.
_LIBRARIES = sys.stdlib_module_names | {"ppvae", "torch", "pyro", "numpy", "scipy", "opt_einsum"}
_ABSENT = object()


def same(now: Any, value: Any) -> bool:
    """Whether one plain value stands for another; other objects are compared by identity."""
    if type(now) is not type(value):
        return False
    if isinstance(value, tuple):
        return len(now) == len(value) and all(
            a is b or same(a, b) for a, b in zip(now, value, strict=True)
        )
    if isinstance(value, types.MethodType):
        return now.__self__ is value.__self__ and now.__func__ is value.__func__
    return isinstance(value, (*PLAIN, frozenset)) and (
        now == value or (now != now and value != value)
    )


def holds_numbers(value: Any) -> bool:
    """Whether a value that stands in a class may be computed with."""
    return isinstance(value, (int, float, complex, str, list, dict, set, Tensor, np.ndarray))


def slot_content(owner: Any, key: str) -> Any:
    """What an object has in a slot, if anything."""
    return getattr(owner, key, _ABSENT)


def content(cell: types.CellType) -> Any:
    """What a closure's cell holds, if anything."""
    try:
        return cell.cell_contents
    except ValueError:
        return _ABSENT


def content_of(cell: types.CellType) -> Callable[[Any], Any]:
    """A look into a closure's cell."""
    return lambda _: content(cell)


def names_in(code: types.CodeType) -> Iterator[str]:
    """The names that a function's code reads, and the functions written inside of it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from names_in(constant)


def is_library(module: str | None) -> bool:
    """Whether a module belongs to a library, whose code does not change."""
    return (module or "builtins").partition(".")[0] in _LIBRARIES


def is_own_module(value: Any) -> bool:
    """Whether a value is a module of the user's."""
    return isinstance(value, types.ModuleType) and not is_library(value.__name__)
