"""Ancestral sampling: a model run forwards, each site drawn given those before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from pyro import poutine
from pyro.poutine.messenger import Messenger
from pyro.poutine.trace_messenger import TraceMessenger
from pyro.poutine.util import prune_subsample_sites, site_is_subsample
from torch import Tensor

from ppvae.pair import Batch, Pair

__all__ = ["Site", "drawn", "model_trace", "random_sites", "traced"]

Site = dict[str, Any]


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


def drawn(program: Callable[[], Any]) -> poutine.Trace:
    """A trace of a program without arguments, in which every site that has no value is drawn.

    Raises:
        ValueError: a site's distribution cannot be drawn from.
    """
    return traced(_Draw({})(program))


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
