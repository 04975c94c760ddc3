"""Log-densities at draws that no gradient goes through: detached, or given from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping

from pyro import poutine
from torch import Tensor

from ppvae.pair import Batch, Pair
from ppvae.rerun import DetachedDraws, density_needed
from ppvae.terms import LogTerms
from ppvae.tracing import retrace, trace_pair

__all__ = ["detached_terms", "given_terms"]


def detached_terms(pair: Pair, batch: Batch, num_particles: int) -> LogTerms:
    """Log-densities at K draws from the guide, each detached as soon as it is drawn, (K, B) nats.

    They are their own ``fixed`` terms, at half the price.

    Raises:
        ValueError: the guide's density cannot be evaluated at a given draw.
    """
    with pair.entered():
        with DetachedDraws():
            traces = trace_pair(pair, batch, num_particles)
        with density_needed():
            return LogTerms(pair, batch, traces, num_particles)


def given_terms(pair: Pair, batch: Batch, values: Mapping[str, Tensor]) -> LogTerms:
    """Log-densities at given values of the latent sites, one for each row, (1, B) nats.

    Sites that are marked for enumeration are scored at their value too.

    Args:
        pair: model and guide; it was run before.
        batch: what they are run on.
        values: by latent site of the guide, each of the shape of one draw, (B, *event).

    Raises:
        ValueError: a latent site of the guide has no value, or its density cannot be evaluated.
    """
    with pair.entered():
        traces = retrace(pair, batch, 1, _as_trace(values))
        with density_needed():
            terms = LogTerms(pair, batch, [traces], 1)
    without = sorted(terms.values.keys() - values.keys())
    if without:
        raise ValueError(
            f"values must be given for every latent site of the guide; got none for {without[0]!r}."
        )
    return terms


def _as_trace(values: Mapping[str, Tensor]) -> poutine.Trace:
    trace = poutine.Trace()
    for name, value in values.items():
        trace.add_node(
            name, name=name, type="sample", value=value.detach(), is_observed=False, infer={}
        )
    return trace
