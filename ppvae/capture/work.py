"""How much work a step is, counted in operations, and when capturing it pays.

Never by the clock: the step at which compiled code takes over, and with it the rounding, follows
from shapes and the length of the run alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from ppvae.capture.signature import tensors_of

__all__ = ["Switches", "Work", "counted"]

# Rough seconds on the machine of docs/speed.md. They need not be right, only the same in each run;
# a machine twice as fast captures as if a run were half as long.
_PER_OPERATION = 8e-6
_PER_NUMBER = 1e-9
_PER_FLOP = 1.7e-11
_TRACE, _TRACE_PER_OPERATION = 0.6, 1e-3
_COMPILE, _COMPILE_PER_OPERATION = 8.0, 2e-2
# What is saved, of the time of a step: Python's share by replaying, fusion by compiling.
_SAVED_PER_OPERATION = 4e-6
_SAVED_BY_FUSION = 0.3
# A known run must win back twice what it spends; an unknown one may lose a tenth of its time.
_WON_BACK = 2.0
_LOST = 0.1


class Work(NamedTuple):
    """What one step does.

    Attributes:
        operations: how many are carried out.
        numbers: how many come out of them.
        flops: of matrix products and convolutions.
        convolved: those of convolutions alone.
    """

    operations: int
    numbers: int
    flops: int
    convolved: int = 0

    @property
    def seconds(self) -> float:
        """About how long a step takes as Python."""
        return (
            _PER_OPERATION * self.operations + _PER_NUMBER * self.numbers + _PER_FLOP * self.flops
        )


class Switches(NamedTuple):
    """At which steps what a step is run by changes; infinite where it never does.

    Attributes:
        replay: the step that is captured, after which it is replayed.
        inductor: the first step of compiled code.
    """

    replay: float
    inductor: float

    @classmethod
    def of(cls, work: Work, steps: int | None, every: int = 1) -> Switches:
        """The steps at which it pays.

        Args:
            work: of one step.
            steps: how many the run has; None if nobody said.
            every: in how many steps one is of this kind.
        """
        trace = _TRACE + _TRACE_PER_OPERATION * work.operations
        build = trace + _COMPILE + _COMPILE_PER_OPERATION * work.operations
        if 2 * work.convolved > work.flops:
            # Compiled convolutions were no faster than replayed ones (docs/speed.md).
            build = math.inf
        replayed = _SAVED_PER_OPERATION * work.operations
        fused = replayed + _SAVED_BY_FUSION * work.seconds
        if steps is not None:
            times = steps / every
            return cls(
                2 if times * replayed >= _WON_BACK * trace else math.inf,
                4 if times * fused >= _WON_BACK * build else math.inf,
            )
        # As in renting until one has paid as much as buying costs.
        return cls(_after(trace, work, every), _after(build, work, every))


def _after(cost: float, work: Work, every: int) -> float:
    calls = every * cost / (_LOST * work.seconds)
    return max(4, math.ceil(calls) if calls < math.inf else math.inf)


def counted(compute: Callable[[Any], Any], batch: Any) -> tuple[Any, Work]:
    """What a computation gives, and how much work it was."""
    with _Counting() as counting:
        outputs = compute(batch)
    return outputs, Work(counting.operations, counting.numbers, counting.flops, counting.convolved)


class _Counting(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.operations = self.numbers = self.flops = self.convolved = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Otherwise torch imports its compiler for this, where perhaps nothing is compiled.
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        self.operations += 1
        if not func.is_view:
            self.numbers += sum(tensor.numel() for tensor in tensors_of(result))
        flops = flop_registry.get(func.overloadpacket)
        if flops is not None:
            taken = int(flops(*args, **(kwargs or {}), out_val=result))
            self.flops += taken
            self.convolved += taken if "convolution" in str(func) else 0
        return result
