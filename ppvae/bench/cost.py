"""What one ordinary gradient costs: time, taken in turns, and the memory that it needs at once."""

from __future__ import annotations

import time
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ppvae.bench.sampling import Sampler

__all__ = ["Live", "peak_bytes", "timed"]

_WARM_UP = 3


def timed(samplers: Sequence[Sampler], rounds: int, device: torch.device) -> np.ndarray:
    """Milliseconds of single gradients, (estimators, rounds).

    The estimators take turns, there and back, so that what slows the machine down slows all
    alike. What the first gradients of each do only once is left out.
    """
    taken = np.empty((rounds, len(samplers)))
    for turn in range(-_WARM_UP, rounds):
        places = range(len(samplers))
        for place in reversed(places) if turn % 2 else places:
            with samplers[place].still():
                _wait(device)
                start = time.perf_counter()
                samplers[place].one()
                _wait(device)
                if turn >= 0:
                    taken[turn, place] = 1e3 * (time.perf_counter() - start)
    return taken.T


def peak_bytes(sampler: Sampler, device: torch.device) -> float:
    """The most memory that tensors of one gradient take up at once, beyond what is there before.

    On a GPU the allocator says so. On a CPU, where it does not, the storages of all tensors that
    are made and let go are counted; scratch space inside of single operations is not seen.

    Returns:
        Bytes; NaN on other devices, where it is not measured.
    """
    with sampler.still():
        if device.type == "cuda":
            torch.cuda.synchronize(device)
            before = torch.cuda.memory_allocated(device)
            torch.cuda.reset_peak_memory_stats(device)
            sampler.one()
            return float(torch.cuda.max_memory_allocated(device) - before)
        if device.type != "cpu":
            return float("nan")
        with Live() as live:
            sampler.one()
        return float(live.peak)


class Live(TorchDispatchMode):
    """Counts the bytes of tensors that live at once among those made inside of this.

    Attributes:
        now: bytes that live.
        peak: the most that did.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.peak = 0
        self._met: weakref.WeakSet[Any] = weakref.WeakSet()

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
    return [each.untyped_storage() for each in tree_leaves(values) if isinstance(each, Tensor)]


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
