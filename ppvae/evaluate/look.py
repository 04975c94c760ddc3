"""A pair looked at on some rows before it is judged: what can be said of it, and what is wrong."""

from __future__ import annotations

from typing import NamedTuple

import pyro
from pyro.poutine.util import prune_subsample_sites

from ppvae.check import enumerated_dims, site_problems
from ppvae.evaluate.coordinate_sums import Means, means_of, without_formula
from ppvae.evaluate.quantities import Quantities, largest, quantities_of, refuse_not_numbers, scores
from ppvae.pair import Batch, Pair
from ppvae.terms import LogTerms
from ppvae.tracing import Traces, rehearsal, trace_pair

__all__ = ["Known", "look", "looked_at"]


class Known(NamedTuple):
    """What can be said of a pair, and how the means of its codes are got."""

    quantities: Quantities
    means: Means


def look(pair: Pair, batch: Batch, num_rows: int, num_particles: int) -> Known:
    """What can be said of a pair.

    Args:
        pair: left as it was.
        batch: a few rows.
        num_rows: how many.
        num_particles: K.

    Raises:
        ValueError: the pair cannot be run on the rows, holds other rows than these, or nothing
            can be said of it per datum.
        NotFiniteError: a site's log-density is NaN or plus infinity.
    """
    with rehearsal(pair):
        try:
            with pyro.validation_enabled(False):
                traces = trace_pair(pair, batch, 1)
                terms = LogTerms(pair, batch, traces, 1)
        except (ValueError, RuntimeError, IndexError) as error:
            # Pyro adds a table of shapes to whatever a program raises.
            what = " ".join(str(error).split("Trace Shapes:")[0].split())
            if not isinstance(error, ValueError):
                what = f"the pair must run on rows of this shape; got {what}."
            raise ValueError(what) from error
        if terms.batch_size != num_rows:
            raise ValueError(
                f"the data plate must hold the rows of the batch, {num_rows}; "
                f"got {terms.batch_size}."
            )
        _refuse_sites(traces[0])
        known = quantities_of(traces[0], terms)
        with pyro.validation_enabled(False):
            refuse_not_numbers(largest(terms))
            scores(terms, known)
            # Now it is known whether the pair can draw two at once.
            trace_pair(pair, batch, min(2, num_particles))
    return Known(known, means_of(traces[0], terms))


def looked_at(known: Known, pair: Pair, batch: Batch) -> Known:
    """The same of more rows, of which some may have no density under the likelihood.

    Raises:
        ValueError: an observed value lies outside of the support of its distribution, as grey
            ones do under a Bernoulli, or a site has dimensions that are not plates.
    """
    with rehearsal(pair), pyro.validation_enabled(False):
        (traces,) = trace_pair(pair, batch, 1)
        _refuse_sites(traces)
        return known._replace(means=without_formula(known.means, traces[1]))


def _refuse_sites(traces: Traces) -> None:
    for role, trace in zip(("model", "guide"), traces, strict=True):
        for name, site in prune_subsample_sites(trace).nodes.items():
            if site["type"] == "sample":
                for problem in site_problems(role, name, site, enumerated_dims(traces)):
                    raise ValueError(problem)
