"""Operations recorded on a GPU once, and launched together from then on.

A launch takes the place of hundreds of calls from the host. It reads and writes at fixed
addresses: inputs are copied to where they were at the recording, and outputs are found where they
were. Draws are fresh, since the device's generator goes on between launches.

Written against the documentation of CUDA graphs in torch and tested on a CPU with a recorder that
runs the operations anew; on a GPU it is unmeasured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["Launched", "Recorder", "recorder_for"]

Run = Callable[..., Sequence[Tensor]]
# Records what a function does, and gives its outputs with a way to do it again in their place.
Recorder = Callable[[Callable[[], Sequence[Tensor]]], tuple[Sequence[Tensor], Callable[[], Any]]]

# Before the recording, as torch asks: libraries set themselves up when they are first called.
_WARM_UP = 3


class Launched:
    """Operations on inputs that are copied to fixed places.

    Args:
        run: from input tensors to output tensors; it moves what it is given to move, and so does
            the recording.
        given: the inputs that are others in each run.
        held: those that stay.
        record: how it is recorded.
    """

    def __init__(
        self, run: Run, given: Sequence[Tensor], held: Sequence[Tensor], record: Recorder
    ) -> None:
        self._places = [tensor.clone() for tensor in given]
        self._last: list[tuple[Tensor | None, int]] = [(None, 0)] * len(self._places)
        self._outputs, self._launch = record(lambda: run(*self._places, *held))

    def __call__(self, *tensors: Tensor) -> Sequence[Tensor]:
        """The outputs, copied from where the next call overwrites them."""
        for number, place in enumerate(self._places):
            tensor = tensors[number]
            # Data that stay from step to step are copied once.
            now = (tensor, tensor._version)
            if self._last[number][0] is not tensor or self._last[number][1] != now[1]:
                place.copy_(tensor)
                self._last[number] = now
        self._launch()
        return [output.clone() for output in self._outputs]


def recorder_for(tensors: Sequence[Tensor]) -> Recorder | None:
    """How operations on these tensors are recorded; None where each is called by itself."""
    return _on_cuda if any(tensor.is_cuda for tensor in tensors) else None


def _on_cuda(
    run: Callable[[], Sequence[Tensor]],
) -> tuple[Sequence[Tensor], Callable[[], Any]]:
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(_WARM_UP):
            run()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = run()
    return outputs, graph.replay
