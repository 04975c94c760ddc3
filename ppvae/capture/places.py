"""Where the values stand that an object, a class or a function computes with."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Iterator
from typing import Any

from torch import nn

from ppvae.capture.values import (
    content,
    content_of,
    holds_numbers,
    is_library,
    is_own_module,
    names_in,
    slot_content,
)

__all__ = ["Place", "of_class", "of_function", "of_object"]

# A name for people; how to look again, and for what; what stands there now. Without a way to look
# it stays what it is, and only what is in it may change.
Place = tuple[str, Callable[[Any], Any] | None, Any, Any]

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
_HOLDERS = frozenset(
    {
        "_parameters",
        "_buffers",
        "_modules",
        "_forward_hooks",
        "_forward_pre_hooks",
        "_backward_hooks",
        "_backward_pre_hooks",
    }
)


def of_object(name: str, value: Any) -> Iterator[Place]:
    """The attributes of an object."""
    own = getattr(value, "__dict__", {})
    hidden = _OF_MODULES if isinstance(value, nn.Module) else frozenset()
    for key, each in list(own.items()):
        if key not in hidden:
            # A module's own dictionaries stay where they are.
            get = None if key in _HOLDERS and isinstance(value, nn.Module) else own.get
            yield _joined(name, key), get, key, each
    slot = functools.partial(slot_content, value)
    for kind in type(value).__mro__:
        keys = () if is_library(kind.__module__) else vars(kind).get("__slots__", ())
        for key in (keys,) if isinstance(keys, str) else keys:
            yield f"{name}.{key}", slot, key, slot(key)


def of_class(name: str, kind: type) -> Iterator[Place]:
    """Numbers that stand in a class, and its functions."""
    own = vars(kind)
    for key, value in list(own.items()):
        if not key.startswith("__") and holds_numbers(value):
            yield f"{name}.{key}", own.get, key, value
        function = inspect.unwrap(getattr(value, "fget", None) or value)
        if isinstance(function, types.FunctionType):
            yield f"{name}.{key}", None, None, function


def of_function(name: str, function: types.FunctionType) -> Iterator[Place]:
    """What a function of the user's takes from closures, defaults, globals and modules."""
    if is_library(function.__module__):
        return
    variables = function.__code__.co_freevars
    for variable, cell in zip(variables, function.__closure__ or (), strict=True):
        yield variable, content_of(cell), None, content(cell)
    yield f"{name}'s defaults", None, None, function.__defaults__
    yield f"{name}'s defaults", None, None, function.__kwdefaults__
    yield name, None, None, getattr(function, "__wrapped__", None)
    read = set(names_in(function.__code__))
    spaces = {"": function.__globals__}
    for key in sorted(read & spaces[""].keys()):
        module = spaces[""][key]
        if is_own_module(module):
            spaces[f"{module.__name__}."] = vars(module)
    for prefix, space in spaces.items():
        for key in sorted(read & space.keys()):
            yield f"{prefix}{key}", space.get, key, space[key]


def _joined(name: str, key: str) -> str:
    """An attribute's name, without the dictionaries that a module keeps its parts in."""
    return name if key in {"_parameters", "_buffers", "_modules"} else f"{name}.{key}"
