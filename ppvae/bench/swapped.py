"""Tensors told apart by identity while a program computes with them: met, or replaced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

__all__ = ["Met", "Swapped"]

_UNFILLED = (torch.empty, torch.empty_like, Tensor.new, Tensor.new_empty)


class Met(TorchFunctionMode):
    """Records which of some tensors a computation inside of this touches.

    Args:
        tensors: by name.

    Attributes:
        names: of those that were touched.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self._name_of = {id(tensor): name for name, tensor in tensors.items()}
        self.names: set[str] = set()

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Compute, and remember what with."""
        given = tree_leaves((args, dict(kwargs or {})))
        self.names |= {self._name_of[id(each)] for each in given if id(each) in self._name_of}
        return func(*args, **(kwargs or {}))


class Swapped(TorchFunctionMode):
    """Computes inside of this with other tensors in the place of some, wherever they are held.

    A parameter in a module, in a closure or in a param store is found by identity, so that no
    program need be rewritten to be differentiated in what it closes over.

    Args:
        tensors: what is replaced.
        values: by what, in the same order.
        draw: a number of each draw, () inside of ``vmap``. Memory that is not filled yet is made
            one for each draw: distributions fill it with noise in place.
    """

    def __init__(self, tensors: list[Tensor], values: list[Tensor], draw: Tensor) -> None:
        super().__init__()
        self._value_of = {id(t): value for t, value in zip(tensors, values, strict=True)}
        self._draw = draw

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Compute with the values."""
        result = func(*self._put(args), **self._put(dict(kwargs or {})))
        if func in _UNFILLED and isinstance(result, Tensor):
            return self._draw.new_empty(result.shape, dtype=result.dtype, device=result.device)
        return result

    def _put(self, given: Any) -> Any:
        # By hand: torch's tree_map would take a third of the time.
        if isinstance(given, Tensor):
            return self._value_of.get(id(given), given)
        if type(given) in (tuple, list):
            return type(given)(self._put(each) for each in given)
        if type(given) is dict:
            return {name: self._put(each) for name, each in given.items()}
        return given
