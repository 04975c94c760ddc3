"""Both programs run again at draws that are already known: detached, or one at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from pyro.poutine.messenger import Messenger
from torch import Tensor

from ppvae.capturing import capturing, refuse_capture
from ppvae.pair import Batch, Pair
from ppvae.tracing import Traces, buffers_put_back, detached, particle, retrace, trace_pair

__all__ = [
    "DetachedDraws",
    "density_needed",
    "fixed_traces",
    "noise_put_back",
    "noise_state",
    "single_traces",
]


class DetachedDraws(Messenger):
    """Cuts every draw off from what it was computed from, as soon as it is drawn."""

    def _pyro_post_sample(self, msg: Any) -> None:
        if isinstance(msg["value"], Tensor) and not msg["is_observed"]:
            msg["value"] = msg["value"].detach()


@contextlib.contextmanager
def density_needed() -> Iterator[None]:
    """Score a guide at given draws inside this: where that cannot be done, it is said in words.

    Raises:
        ValueError: the guide's density cannot be evaluated at a given draw.
    """
    try:
        yield
    except (KeyError, NotImplementedError) as error:
        raise ValueError(
            "the guide must have a density at any given draw; "
            f"got a transform without an inverse ({error})."
        ) from error


def noise_state() -> dict[str, Tensor]:
    """The states of torch's generators, which dropout and draws come from."""
    if capturing():
        # A graph has no states; a pair that needs them is refused.
        return {}
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        states |= {str(i): state for i, state in enumerate(torch.cuda.get_rng_state_all())}
    return states


def fixed_traces(
    pair: Pair, batch: Batch, traces: list[Traces], num_particles: int, start: dict[str, Tensor]
) -> list[Traces]:
    """Traces of both programs at the draws of given traces, the draws detached.

    A pair that draws more than its sites, dropout masks for one, gets the same noise again: it is
    run from where the generators stood before the draws.

    Args:
        pair: model and guide.
        batch: what they were run on.
        traces: of the draws.
        num_particles: K over all traces.
        start: :func:`noise_state` from before the draws.
    """
    each = num_particles // len(traces)
    with buffers_put_back(pair) if _has_buffers(pair) else contextlib.nullcontext():
        before = noise_state()
        again = [retrace(pair, batch, each, detached(guide)) for _, guide in traces]
        if not capturing():
            pair.scope.noisy = not _equal(before, noise_state())
        if not pair.scope.noisy:
            return again
        refuse_capture("it draws noise of its own again, such as dropout, from a saved state")
        if not start:
            raise ValueError(
                "draws taken one by one cannot be held fixed in a pair with noise of its own, "
                "such as dropout; got one."
            )
        _put(before)
        with noise_put_back(start), DetachedDraws():
            return trace_pair(pair, batch, num_particles)


def single_traces(
    pair: Pair, batch: Batch, traces: list[Traces], num_particles: int
) -> list[Traces]:
    """Traces of both programs at the same draws, one pair of traces for each of the K."""
    nesting = pair.scope.plate_nesting or 0
    return [
        retrace(pair, batch, 1, particle(guide, number, nesting))
        for _, guide in traces
        for number in range(num_particles // len(traces))
    ]


@contextlib.contextmanager
def noise_put_back(start: dict[str, Tensor]) -> Iterator[None]:
    """Draw inside this what was drawn from a :func:`noise_state`; afterwards it is as before."""
    before = noise_state()
    _put(start)
    try:
        yield
    finally:
        _put(before)


def _put(states: dict[str, Tensor]) -> None:
    for name, state in states.items():
        if name == "cpu":
            torch.set_rng_state(state)
        else:
            torch.cuda.set_rng_state(state, int(name))


def _equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


def _has_buffers(pair: Pair) -> bool:
    if pair.scope.buffered is None:
        pair.scope.buffered = bool(pair.buffers)
    return pair.scope.buffered
