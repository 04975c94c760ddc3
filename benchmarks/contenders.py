"""Those that take a step: by hand, with ``pyro.infer.SVI``, with ``ppvae.SVI``.

A contender is built from the seed, with the same initial weights as all others, and is then a
function of a minibatch that takes one step. Gathering the minibatch is left to who calls it.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import pyro
import pyro.infer
import pyro.optim
import torch
from step_names import CONTENDERS
from torch import Tensor
from workloads import Workload

import ppvae

__all__ = ["Ours", "Step", "contender", "contenders_for"]

LR = 1e-3
Step = Callable[[Tensor], Any]


def by_hand(
    work: Workload, device: torch.device, *, compiled: bool = False, fused: bool | None = None
) -> Step:
    """Plain torch, with one Adam outside of what is compiled."""
    loss_of = work.by_hand(*work.pairs[""]()).to(device)
    optimizer = torch.optim.Adam(loss_of.parameters(), lr=LR, fused=fused)
    called = torch.compile(loss_of) if compiled else loss_of

    def step(x: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss: Tensor = called(x)
        loss.backward()
        optimizer.step()
        return loss

    return step


def in_graph(work: Workload, device: torch.device) -> Step:
    """Plain torch in a CUDA graph: forward, backward and Adam, from a static input."""
    loss_of = work.by_hand(*work.pairs[""]()).to(device)
    optimizer = torch.optim.Adam(loss_of.parameters(), lr=LR, fused=True, capturable=True)
    static = torch.zeros(work.batch_size, 784, device=device)

    def step() -> Tensor:
        optimizer.zero_grad()
        loss: Tensor = loss_of(static)
        loss.backward()
        optimizer.step()
        return loss

    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = step()

    def replayed(x: Tensor) -> Tensor:
        static.copy_(x)
        graph.replay()
        return loss

    return replayed


def with_pyro(work: Workload, device: torch.device) -> Step:
    """Pyro's own SVI, with its Adam and its validation as they come."""
    # Pyro's parameters are found by name: one such contender at a time in a process.
    pyro.clear_param_store()
    model, guide = (program.to(device) for program in work.pairs[""]())
    optim = pyro.optim.Adam({"lr": LR})
    svi = pyro.infer.SVI(model, guide, optim, work.loss_of_pyro())
    step: Step = svi.step
    return step


class Ours:
    """A step of ``ppvae.SVI``.

    Args:
        svi: that takes it.
        asked: "off", "replay" or "inductor".
    """

    def __init__(self, svi: ppvae.SVI, asked: str) -> None:
        self._svi = svi
        self._asked = "eager" if asked == "off" else asked

    def __call__(self, x: Tensor) -> Tensor:
        """The loss, left on the device."""
        loss: Tensor = self._svi.update(x)
        return loss

    @property
    def ran_as(self) -> str | None:
        """How the last step was computed, if not as asked."""
        return None if self._svi.how == self._asked else self._svi.how


def with_ppvae(work: Workload, device: torch.device, *, compile: str, networks: str = "") -> Step:
    """The SVI of ppvae, captured or not."""
    model, guide = (program.to(device) for program in work.pairs[networks]())
    optim = pyro.optim.Adam({"lr": LR})
    return Ours(ppvae.SVI(model, guide, optim, work.loss(), compile=compile), compile)


BUILDERS: dict[str, Callable[[Workload, torch.device], Step]] = {
    "eager": by_hand,
    "fused": partial(by_hand, fused=True),
    "compiled": partial(by_hand, compiled=True, fused=True),
    "graph": in_graph,
    "pyro": with_pyro,
    **{mode: partial(with_ppvae, compile=mode) for mode in ("off", "replay", "inductor")},
    **{
        f"{mode}+layer": partial(with_ppvae, compile=mode, networks="layer")
        for mode in ("off", "replay", "inductor")
    },
}


def contenders_for(work: Workload, device: torch.device) -> list[str]:
    """The names of those that can take a step of a workload, without NumPyro's."""
    left_out = set() if device.type == "cuda" else {"graph"}
    if "layer" not in work.pairs:
        left_out |= {name for name in BUILDERS if name.endswith("+layer")}
    return [name for name in CONTENDERS if name in BUILDERS and name not in left_out]


def contender(name: str, work: Workload, device: torch.device, seed: int) -> Step:
    """One of them, built from a seed."""
    pyro.set_rng_seed(seed)
    return BUILDERS[name](work, device)
