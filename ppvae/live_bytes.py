"""How many bytes of tensors live at once while something is computed."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

__all__ = ["Live"]


class Live(TorchDispatchMode):
    """Counts the bytes of tensors that live at once among those made inside of this.

    It sees the storages of all tensors that are made and let go, on any device; neither scratch
    space inside of single operations, nor what an allocator rounds up, nor sparse tensors. In a
    program that frees its tensors by reference counts the figure is the same each time.

    Attributes:
        now: bytes that live.
        peak: the most that did.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.peak = 0
        self._met: weakref.WeakSet[Any] = weakref.WeakSet()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Else torch imports its compiler here, which takes most of a second."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Compute, and count what is new."""
        # Views of what was there before have its storage.
        self._met.update(_storages((args, dict(kwargs or {}))))
        result = func(*args, **(kwargs or {}))
        for storage in _storages(result):
            if storage not in self._met:
                self._met.add(storage)
                self.now += storage.nbytes()
                self.peak = max(self.peak, self.now)
                weakref.finalize(storage, self._let_go, storage.nbytes())
        return result

    def _let_go(self, size: int) -> None:
        self.now -= size


def _storages(values: Any) -> list[Any]:
    tensors = [each for each in tree_leaves(values) if isinstance(each, Tensor)]
    return [each.untyped_storage() for each in tensors if each.layout is torch.strided]
