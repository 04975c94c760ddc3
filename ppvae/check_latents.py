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
    shapes = {
        name: site["fn"].event_shape for name, site in guide.nodes.items() if _is_latent(site)
    }
    return [
        f"site '{name}' of the guide must have the event shape that the model gives it, "
        f"{tuple(site['fn'].event_shape)}; got {tuple(shapes[name])}."
        for name, site in model.nodes.items()
        if _is_latent(site) and site["fn"].event_shape != shapes.get(name, site["fn"].event_shape)
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


def _is_latent(site: Any) -> bool:
    return site["type"] == "sample" and not site["is_observed"]
