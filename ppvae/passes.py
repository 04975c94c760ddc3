"""A pair run once to be looked at: no gradient, no dropout, at a seed, and no trace left behind."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import pyro
import torch
from torch import Tensor

from ppvae.generators import generators_put_back
from ppvae.pair import Batch, Pair

__all__ = [
    "as_pair",
    "at_rest",
    "held_on",
    "select_rows",
    "size_of",
]


def as_pair(source: Any) -> Pair:
    """The pair that a run, a pair or a tuple (model, guide) stands for.

    Raises:
        TypeError: source is none of these.
    """
    source = getattr(source, "pair", source)
    if isinstance(source, tuple) and len(source) == 2:
        return Pair(*source)
    if not isinstance(source, Pair):
        raise TypeError(
            f"run must be a run, a Pair or a tuple (model, guide); got {type(source).__name__}."
        )
    return source


@contextlib.contextmanager
def at_rest(pair: Pair, seed: int, *, scoped: bool = True) -> Iterator[torch.device | None]:
    """Run the pair inside this; training modes and the global generators go back afterwards.

    Args:
        pair: whose programs are run.
        seed: of all draws inside.
        scoped: whether named params are the pair's own, or those of Pyro's store.

    Returns:
        The device of the pair's tensors; None if it has none.
    """
    device = _device(pair)
    networks = pair.modules.values()
    modes = {module: module.training for network in networks for module in network.modules()}
    pair.train(False)
    try:
        own = pair.entered() if scoped else contextlib.nullcontext()
        with own, torch.no_grad(), generators_put_back():
            pyro.set_rng_seed(seed)
            yield device
    finally:
        for module, mode in modes.items():
            module.training = mode


def _device(pair: Pair) -> torch.device | None:
    of_modules = (p for module in pair.modules.values() for p in module.parameters())
    tensors = itertools.chain(pair.leaves.values(), of_modules, pair.buffers.values())
    return next((tensor.device for tensor in tensors), None)


def size_of(batch: Batch) -> int:
    """B, the number of rows in a batch.

    Raises:
        ValueError: the batch has no tensor with rows.
    """
    args, fields = batch
    for value in (*args, *fields.values()):
        if isinstance(value, Tensor) and value.dim():
            return len(value)
    raise ValueError(f"batch must hold a tensor with rows; got {sorted(fields) or args!r}.")


def select_rows(batch: Batch, index: Tensor | slice, device: torch.device | None) -> Batch:
    """Those rows of every field of a batch, on the device."""
    num_rows = size_of(batch)

    def chosen(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        if value.dim() and len(value) == num_rows:
            value = value[index.to(value.device) if isinstance(index, Tensor) else index]
        return value.to(device)

    args, fields = batch
    return tuple(map(chosen, args)), {name: chosen(value) for name, value in fields.items()}


def held_on(device: torch.device | None, given: Mapping[str, Tensor] | None) -> dict[str, Tensor]:
    """Given values by site, on the device."""
    return {name: torch.as_tensor(value, device=device) for name, value in (given or {}).items()}
