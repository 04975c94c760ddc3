"""Whether model and guide draw codes of the same shape."""

from __future__ import annotations

from typing import Any

from pyro import poutine
from pyro.poutine import Trace
from pyro.poutine.util import prune_subsample_sites

from ppvae.pair import Batch, Pair
from ppvae.tracing import rehearsal

__all__ = ["misfits", "why_not_run"]


def misfits(model: Trace, guide: Trace) -> list[str]:
    """Latent sites whose events differ between model and guide, in words.

    A code of one coordinate would broadcast against a wide prior and seem correct.
    """
    expected, drawn = _shapes(model), _shapes(guide)
    return [
        f"site '{name}' of the guide must have the event shape that the model gives it, "
        f"{expected[name]}; got {drawn[name]}."
        for name in expected
        if drawn.get(name, expected[name]) != expected[name]
    ]


def why_not_run(pair: Pair, batch: Batch, words: str) -> str:
    """What is wrong with a pair that could not be run, each program being run by itself.

    Args:
        pair: inside of which this is called.
        batch: that it could not be run on.
        words: what it raised, which is all there is to say unless the codes do not fit.
    """
    traces = []
    with rehearsal(pair):
        for role in ("model", "guide"):
            try:
                trace = poutine.trace(pair.program(role, batch)).get_trace()
            except ValueError:
                return words
            except (RuntimeError, IndexError, KeyError):
                return f"the {role} must run on a batch of the data; got: {words}"
            traces.append(prune_subsample_sites(trace))
    return next(iter(misfits(*traces)), words)


def _shapes(trace: Trace) -> dict[str, tuple[int, ...]]:
    """The event shapes of the latent sites."""
    sites: dict[str, Any] = dict(trace.nodes)
    return {
        name: tuple(site["fn"].event_shape)
        for name, site in sites.items()
        if site["type"] == "sample" and not site["is_observed"]
    }
