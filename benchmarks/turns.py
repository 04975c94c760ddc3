"""Several that do the same take turns, so that what slows the machine down slows all alike."""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["WARM_UP_STEPS", "Timed", "Turns", "clock", "in_turns", "orders", "quartiles", "ratios"]

# After so many steps everybody is captured and compiled.
WARM_UP_STEPS = 8
# Seconds that a turn takes at most, but for its least number of steps.
TURN = 0.08
LEAST_STEPS = 3
# Steps before the clock of a turn starts: the caches hold what another one has just used.
LEAD_IN = 2

# From indices of minibatches, (S, B), to the seconds that S steps took.
Timed = Callable[[Tensor], float]


class Turns(NamedTuple):
    """What a contest found."""

    block: int  # steps in a turn
    milliseconds: dict[str, NDArray[np.float64]]  # of a step by name, (rounds,)
    warm_up: dict[str, float]  # seconds of the first steps, less what they take later


def orders(num_rows: int, batch_size: int, steps: int, seed: int) -> Tensor:
    """Rows of each minibatch of so many steps, (S, B): one permutation after another."""
    generator = torch.Generator().manual_seed(seed)
    per_epoch = num_rows // batch_size
    epochs = -(-steps // per_epoch)
    every = [torch.randperm(num_rows, generator=generator) for _ in range(epochs)]
    cut = [order[: per_epoch * batch_size].view(per_epoch, batch_size) for order in every]
    return torch.cat(cut)[:steps]


def clock(step: Callable[[Tensor], Any], data: Tensor) -> Timed:
    """The seconds of steps, each with the gather of its minibatch, and the wait at the end."""

    def wait() -> None:
        if data.is_cuda:
            torch.cuda.synchronize()

    def seconds(order: Tensor) -> float:
        wait()
        start = time.perf_counter()
        for index in order:
            step(data[index])
        wait()
        return time.perf_counter() - start

    return seconds


def in_turns(
    contenders: Mapping[str, Timed],
    order: Tensor,
    rounds: int,
    block: int,
    pace: str,
    longer: Mapping[str, int] | None = None,
) -> Turns:
    """Time all, a few steps each in a round, there and back.

    Args:
        contenders: by name.
        order: indices of minibatches, (S, B), that all go through, again from the start at the end.
        rounds: turns of each.
        block: steps in a turn at most; fewer where one takes long.
        pace: the name of the one whose speed decides that.
        longer: how many times as many steps some take in their turn.
    """
    times = dict.fromkeys(contenders, 1) | dict(longer or {})

    def batches(start: int, steps: int) -> Tensor:
        return order[torch.arange(start, start + steps) % len(order)]

    # NumPyro compiles once more for another number of steps: the pace is known first.
    first = {pace: contenders[pace](batches(0, WARM_UP_STEPS))}
    step = contenders[pace](batches(0, LEAST_STEPS)) / LEAST_STEPS
    block = min(block, max(LEAST_STEPS, int(TURN / step)))
    for name, timed in contenders.items():
        if name != pace:
            first[name] = timed(batches(0, WARM_UP_STEPS))
        for steps in (LEAD_IN, block * times[name]):
            timed(batches(0, steps))
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(rounds):
        for name in list(contenders)[:: -1 if turn % 2 else 1]:
            steps = block * times[name]
            contenders[name](batches(turn * block, LEAD_IN))
            seconds = contenders[name](batches(turn * block, steps))
            found[name].append(1000 * seconds / steps)
    milliseconds = {name: np.array(each) for name, each in found.items()}
    warm_up = {
        name: max(0.0, first[name] - WARM_UP_STEPS * float(np.median(each)) / 1000)
        for name, each in milliseconds.items()
    }
    return Turns(block, milliseconds, warm_up)


def quartiles(values: NDArray[np.float64]) -> list[float]:
    """First quartile, median and third quartile, to four digits.

    Taken of logarithms, so that those of a ratio and of its inverse are inverses.
    """
    found = np.exp(np.quantile(np.log(values), [0.25, 0.5, 0.75]))
    return [float(f"{each:.4g}") for each in found]


def ratios(
    milliseconds: Mapping[str, NDArray[np.float64]], references: tuple[str, ...]
) -> dict[str, dict[str, list[float]]]:
    """Of each to each reference that took part: quartiles of the ratios within a round."""
    present = [name for name in references if name in milliseconds]
    return {
        name: {other: quartiles(own / milliseconds[other]) for other in present}
        for name, own in milliseconds.items()
    }
