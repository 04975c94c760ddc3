"""Running a pair: a trace of the guide, and one of the model replayed against it.

Particles sit in a plate left of all others, discrete sites marked for enumeration left of that,
so that a site's log-density has the shape (C, ..., K, plates).
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pyro
import torch
from pyro import poutine
from pyro.poutine.enum_messenger import EnumMessenger
from torch import Tensor

from ppvae.capturing import capturing
from ppvae.generators import generator_states, generators_put_back, restore_generators
from ppvae.pair import Batch, Pair

__all__ = [
    "Traces",
    "buffers_put_back",
    "detached",
    "kept_as_it_was",
    "particle",
    "rehearsal",
    "rehearse",
    "retrace",
    "trace_pair",
]

Traces = tuple[poutine.Trace, poutine.Trace]


def trace_pair(pair: Pair, batch: Batch, num_particles: int) -> list[Traces]:
    """Traces of model and guide: one pair with all K draws, or K pairs where they are looped."""
    rehearse(pair, batch)
    scope = pair.scope
    if num_particles > 1 and scope.vectorized is None:
        scope.vectorized = _takes_two(pair, batch)
    if num_particles > 1 and not scope.vectorized:
        return [_trace(pair, batch, 1) for _ in range(num_particles)]
    return [_trace(pair, batch, num_particles)]


def rehearse(pair: Pair, batch: Batch) -> None:
    """Run a new pair once, so that its parameters exist and the size of its plates is known.

    The generators go back, unless a named param was drawn: later noise must not repeat it.
    """
    if pair.scope.plate_nesting is not None:
        return
    named = len(pair.scope.store["params"])
    with generators_put_back():
        pair.scope.plate_nesting = _plate_nesting(pair, batch)
        drawn = generator_states()
    if len(pair.scope.store["params"]) > named:
        restore_generators(drawn)


def retrace(pair: Pair, batch: Batch, num_particles: int, values: poutine.Trace) -> Traces:
    """Traces of guide and model at given values instead of new draws."""
    return _trace(pair, batch, num_particles, values)


@contextlib.contextmanager
def kept_as_it_was(pair: Pair) -> Iterator[None]:
    """Run the pair inside this and leave no trace: generators and running statistics go back."""
    with generators_put_back(), buffers_put_back(pair):
        yield


@contextlib.contextmanager
def buffers_put_back(pair: Pair) -> Iterator[None]:
    """Run the pair inside this: afterwards its running statistics are as they were."""
    buffers = {name: (buffer, buffer.clone()) for name, buffer in pair.buffers.items()}
    try:
        with poutine.block(hide_types=["sample", "plate"]):
            yield
    finally:
        for name, buffer in pair.buffers.items():
            before, value = buffers.get(name, (buffer, buffer))
            # What was not written to is not written back: a transform of torch.func forbids it.
            # (Batch norm moves its statistics without a new version of them.)
            if buffer is not before or capturing() or not torch.equal(buffer, value):
                # Past autograd, which would miss them in the backward pass: batch norm saves its
                # statistics, and does not read them in training.
                buffer.data.copy_(value)


@contextlib.contextmanager
def rehearsal(pair: Pair) -> Iterator[None]:
    """As :func:`kept_as_it_was`, without gradients."""
    with kept_as_it_was(pair), torch.no_grad():
        yield


def _trace(
    pair: Pair, batch: Batch, num_particles: int, values: poutine.Trace | None = None
) -> Traces:
    dim = -1 - (pair.scope.plate_nesting or 0)
    guide, model = pair.program("guide", batch), pair.program("model", batch)
    if num_particles > 1:
        guide = pyro.plate("particles", num_particles, dim=dim)(guide)
        model = pyro.plate("particles", num_particles, dim=dim)(model)
        dim -= 1
    if values is not None:
        guide = poutine.replay(guide, trace=values)
        # Labels that stand in the values keep their dimensions; new ones go to the left.
        dim -= sum("_enumerate_dim" in (s.get("infer") or {}) for s in values.nodes.values())
    guide_trace = poutine.trace(EnumMessenger(dim)(guide)).get_trace()
    # Given no dimension, the model enumerates to the left of the guide.
    replayed = EnumMessenger()(poutine.replay(model, trace=guide_trace))
    return poutine.trace(replayed).get_trace(), guide_trace


def _plate_nesting(pair: Pair, batch: Batch) -> int:
    with buffers_put_back(pair), torch.no_grad():
        guide_trace = poutine.trace(pair.program("guide", batch)).get_trace()
        model = poutine.replay(pair.program("model", batch), trace=guide_trace)
        model_trace = poutine.trace(model).get_trace()
    stacks = [
        site["cond_indep_stack"]
        for trace in (guide_trace, model_trace)
        for site in trace.nodes.values()
        if site["type"] == "sample"
    ]
    return max((-f.dim for stack in stacks for f in stack if f.dim is not None), default=0)


def _takes_two(pair: Pair, batch: Batch) -> bool:
    """Whether the pair can draw two particles at once, having drawn one without complaint."""
    try:
        with rehearsal(pair):
            for trace in _trace(pair, batch, 2):
                trace.compute_log_prob()
    except (RuntimeError, ValueError, IndexError, AssertionError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        warnings.warn(
            f"particles are drawn one by one, since the pair cannot draw two at once: {reason}",
            stacklevel=2,
        )
        return False
    return True


def detached(trace: poutine.Trace) -> poutine.Trace:
    """The trace with its values cut off from what they were computed from."""
    return _mapped(trace, lambda site: site["value"].detach())


def particle(trace: poutine.Trace, number: int, nesting: int) -> poutine.Trace:
    """One particle of a trace of several drawn together."""

    def of_site(site: Mapping[str, Any]) -> Tensor:
        value: Tensor = site["value"]
        dim = -1 - nesting - int(getattr(site["fn"], "event_dim", 0))
        held = any(frame.name == "particles" for frame in site["cond_indep_stack"])
        if not held or value.dim() < -dim:
            return value
        # The labels of a site that is summed out are the same for all particles.
        return value.select(dim, number if value.shape[dim] > 1 else 0)

    alone = _mapped(trace, of_site)
    if "particles" in alone:
        alone.remove_node("particles")
    for site in alone.nodes.values():
        infer: Any = site.get("infer") or {}
        if "_enumerate_dim" in infer:
            # Without the particles' dimension the labels stand one further to the right.
            site["infer"] = infer | {"_enumerate_dim": infer["_enumerate_dim"] + 1}
    return alone


def _mapped(trace: poutine.Trace, value_of: Callable[[Mapping[str, Any]], Tensor]) -> poutine.Trace:
    copy = trace.copy()
    for name, site in copy.nodes.items():
        if site["type"] == "sample" and isinstance(site["value"], Tensor):
            copy.nodes[name] = {**site, "value": value_of(site)}
    return copy
