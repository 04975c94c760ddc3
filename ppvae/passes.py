"""A pair run once to be looked at: no gradient, no dropout, at a seed, and no trace left behind."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pyro
import torch
from pyro import poutine
from pyro.poutine.messenger import Messenger
from pyro.poutine.trace_messenger import TraceMessenger
from pyro.poutine.util import prune_subsample_sites, site_is_subsample
from torch import Tensor

from ppvae.generators import generators_put_back
from ppvae.pair import Batch, Pair

__all__ = [
    "Site",
    "as_pair",
    "at_rest",
    "held_on",
    "model_trace",
    "random_sites",
    "select_rows",
    "size_of",
    "traced",
]

Site = dict[str, Any]


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


def model_trace(
    pair: Pair, batch: Batch, given: Mapping[str, Tensor], *, keep_observed: bool = False
) -> poutine.Trace:
    """A trace of the model with the given sites held, the observed ones drawn unless kept.

    Raises:
        ValueError: given names no site of the model or has another shape than the site, or a
            site's distribution cannot be drawn from.
    """
    model = pair.program("model", batch)
    if not keep_observed:
        model = poutine.uncondition(model)
    # The other order would take the given values for observations and draw them anew.
    trace = traced(_Draw(given)(poutine.condition(model, data=dict(given))))
    names = [name for name, _ in random_sites(trace)]
    for name in given:
        if name not in names:
            raise ValueError(f"given must name sites of the model, {names}; got {name!r}.")
    return trace


def traced(program: Callable[[], Any]) -> poutine.Trace:
    """A trace of a program without arguments, its subsample sites left out."""
    # Around a function, poutine.trace would append a table of shapes to what a program refuses.
    with TraceMessenger() as messenger:
        program()
    trace: poutine.Trace = prune_subsample_sites(messenger.get_trace())
    return trace


class _Draw(Messenger):
    """Draws each site that has no value, and says in words where that cannot be done."""

    def __init__(self, given: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.given = given

    def _pyro_sample(self, msg: Any) -> None:
        name, fn = msg["name"], msg["fn"]
        if site_is_subsample(msg):
            return
        if name in self.given:
            # A value of one row would broadcast and pass for one that was given for all.
            if msg["value"].shape != fn.shape():
                raise ValueError(
                    f"given {name!r} must have the shape of its site, {tuple(fn.shape())}; "
                    f"got {tuple(msg['value'].shape)}."
                )
        elif msg["value"] is None:
            try:
                msg["value"] = fn(*msg["args"], **msg["kwargs"])
            except NotImplementedError as error:
                raise ValueError(
                    f"site {name!r} must have a distribution that can be drawn from, "
                    f"or be given; got {_name_of(fn)}."
                ) from error


def random_sites(trace: poutine.Trace) -> list[tuple[str, Site]]:
    """The sample sites of a trace that have a value, by name, in order."""
    sites: list[tuple[str, Any]] = [(n, s) for n, s in trace.nodes.items() if s["type"] == "sample"]
    # A pyro.factor is a site with nothing in it.
    return [(name, site) for name, site in sites if torch.as_tensor(site["value"]).numel()]


def _name_of(distribution: Any) -> str:
    while hasattr(distribution, "base_dist"):
        distribution = distribution.base_dist
    return type(distribution).__name__
