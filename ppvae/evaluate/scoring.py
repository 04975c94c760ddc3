"""Rows scored at many draws from the guide, in pieces that fit memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pyro
import torch
from pyro.poutine.util import prune_subsample_sites
from torch import Tensor

from ppvae.check import enumerated_dims, site_problems
from ppvae.evaluate.coordinates import Coordinate, Coordinates
from ppvae.evaluate.evidence import estimate_evidence, mean_over_draws
from ppvae.evaluate.pareto import LEAST_DRAWS, pareto_khat
from ppvae.evaluate.quantities import Quantities, quantities_of, scores
from ppvae.pair import Batch, Pair
from ppvae.terms import LogTerms
from ppvae.tracing import Traces, rehearsal, trace_pair

__all__ = ["FLOATS", "Pieces", "Scored", "look", "pieces", "refuse_wrong", "scored"]

# Numbers in a tensor of x at the draws and rows that are scored at once. On a CPU what stays in
# the cache is scored twice as fast; a GPU wants long tensors, and 2^24 are 64 MiB in float32.
# Free memory does not decide: the draws would depend on who else is on the machine.
FLOATS = {"cpu": 2**20, "cuda": 2**24}


class Pieces(NamedTuple):
    """How many draws and rows are scored at once."""

    draws: int
    rows: int


class Scored(NamedTuple):
    """What was found of some rows: values per datum, (B,), and coordinates by latent site."""

    values: dict[str, Tensor]
    coordinates: dict[str, Coordinate]


def look(pair: Pair, batch: Batch, num_rows: int, num_particles: int) -> tuple[Quantities, int]:
    """What can be said of a pair, and how many numbers it holds per draw and row.

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
            scores(terms, known)
            # Now it is known whether the pair can draw two at once.
            trace_pair(pair, batch, min(2, num_particles))
    labels = max(term.numel() for term in terms.likelihood.values()) // num_rows
    args, fields = batch
    tensors = [v for v in (*args, *fields.values()) if isinstance(v, Tensor)]
    return known, max(v.numel() // num_rows for v in tensors) * max(1, labels)


def pieces(pair: Pair, num_rows: int, num_particles: int, at_once: int) -> Pieces:
    """How many draws and rows to score at once.

    Args:
        pair: that was looked at.
        num_rows: N.
        num_particles: K.
        at_once: the most draws times rows.
    """
    if pair.scope.vectorized is False:
        # Each draw is a run of its own, which may as well take many rows.
        rows = min(num_rows, at_once)
        return Pieces(max(1, min(num_particles, at_once // rows)), rows)
    draws = min(num_particles, at_once)
    return Pieces(draws, min(num_rows, max(1, at_once // draws)))


def refuse_wrong(pair: Pair, batch: Batch) -> None:
    """Refuse rows that the likelihood gives no density to, such as grey ones under a Bernoulli.

    Raises:
        ValueError: an observed value lies outside of the support of its distribution, or a site
            has dimensions that are not plates.
    """
    with rehearsal(pair), pyro.validation_enabled(False):
        _refuse_sites(trace_pair(pair, batch, 1)[0])


def _refuse_sites(traces: Traces) -> None:
    for role, trace in zip(("model", "guide"), traces, strict=True):
        for name, site in prune_subsample_sites(trace).nodes.items():
            if site["type"] == "sample":
                for problem in site_problems(role, name, site, enumerated_dims(traces)):
                    raise ValueError(problem)


def scored(pair: Pair, batch: Batch, known: Quantities, num_particles: int, draws: int) -> Scored:
    """Rows scored at K draws, some of them at a time.

    Args:
        pair: that was looked at.
        batch: the rows.
        known: what can be said of the pair.
        num_particles: K.
        draws: how many at a time.

    Raises:
        NotFiniteError: a site's log-density is NaN or plus infinity.
    """
    found: dict[str, list[Tensor]] = {}
    coordinates = Coordinates(pair.scope.plate_nesting or 0)
    with pyro.validation_enabled(False):
        for each in _sizes(num_particles, draws):
            traces = trace_pair(pair, batch, each)
            terms = LogTerms(pair, batch, traces, each)
            for name, values in scores(terms, known).items():
                found.setdefault(name, []).append(values)
            coordinates.add(traces, terms)
    return Scored(_averaged({n: torch.cat(v) for n, v in found.items()}), coordinates.result())


def _sizes(total: int, each: int) -> Iterator[int]:
    for start in range(0, total, each):
        yield min(each, total - start)


def _averaged(found: dict[str, Tensor]) -> dict[str, Tensor]:
    values: dict[str, Tensor] = {}
    for name, draws in found.items():
        if name == "log_weight":
            evidence = estimate_evidence(draws)
            values["log_evidence"], values["log_evidence_se"], values["ess"] = evidence
            if len(draws) >= LEAST_DRAWS:
                values["khat"] = pareto_khat(draws)
        else:
            values[name], values[f"{name}_se"] = mean_over_draws(draws)
    return values
