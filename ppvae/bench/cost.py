"""What one ordinary gradient costs: time, taken in turns, and the memory that it needs at once."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import torch

from ppvae.bench.sampling import Sampler
from ppvae.live_bytes import Live

__all__ = ["peak_bytes", "timed"]

# A gradient is captured in the second and compiled in the fourth, which the fifth follows.
_WARM_UP = 5


def timed(samplers: Sequence[Sampler], rounds: int, device: torch.device) -> np.ndarray:
    """Milliseconds of single gradients, (estimators, rounds).

    They are computed as Python, or as was asked for: "auto" would treat estimators differently.
    They take turns, there and back, so that what slows the machine down slows all alike. What the
    first gradients of each do only once, capturing and compiling among it, is left out.
    """
    taken = np.empty((rounds, len(samplers)))
    for turn in range(-_WARM_UP, rounds):
        places = range(len(samplers))
        for place in reversed(places) if turn % 2 else places:
            with samplers[place].still():
                _wait(device)
                start = time.perf_counter()
                samplers[place].as_asked()
                _wait(device)
                if turn >= 0:
                    taken[turn, place] = 1e3 * (time.perf_counter() - start)
    return taken.T


def peak_bytes(sampler: Sampler, device: torch.device) -> float:
    """The most memory that tensors of one gradient take up at once, beyond what is there before.

    It is computed as Python, whatever was asked for. On a GPU the allocator says so. On a CPU,
    where it does not, the storages of all tensors that are made and let go are counted; scratch
    space inside of single operations is not seen.

    Returns:
        Bytes; NaN on other devices, where it is not measured.
    """
    with sampler.still():
        if device.type == "cuda":
            torch.cuda.synchronize(device)
            before = torch.cuda.memory_allocated(device)
            torch.cuda.reset_peak_memory_stats(device)
            sampler.as_python()
            return float(torch.cuda.max_memory_allocated(device) - before)
        if device.type != "cpu":
            return float("nan")
        with Live() as live:
            sampler.as_python()
        return float(live.peak)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
