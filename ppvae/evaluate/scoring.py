"""Rows scored at many draws from the guide, in pieces that fit memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pyro
import torch
from torch import Tensor

from ppvae.capture import Captured
from ppvae.evaluate.coordinate_sums import coordinate_sums
from ppvae.evaluate.coordinates import Coordinate, Coordinates
from ppvae.evaluate.evidence import estimate_evidence, mean_over_draws
from ppvae.evaluate.look import Known
from ppvae.evaluate.pareto import LEAST_DRAWS, pareto_khat
from ppvae.evaluate.pieces import Bytes, Pieces, keep_freed_memory, measured
from ppvae.evaluate.quantities import largest, refuse_not_numbers, scores
from ppvae.pair import Batch, Pair
from ppvae.terms import LogTerms
from ppvae.tracing import rehearsal, trace_pair

__all__ = ["Scored", "Scoring", "Some"]

# Rows from one number to another.
Some = Callable[[int, int], Batch]


class Scored(NamedTuple):
    """What was found of some rows: values per datum, (B,), and coordinates by latent site."""

    values: dict[str, Tensor]
    coordinates: dict[str, Coordinate]


class Scoring:
    """Scores rows at draws from the guide, piece by piece, as Python or as a graph of it.

    Args:
        pair: model and guide.
        compile: how pieces are computed; see :func:`ppvae.evaluate.evaluate`.

    Attributes:
        known: what can be said of the pair, once it was looked at.

    Raises:
        ValueError: compile is none of the four.
    """

    known: Known

    def __init__(self, pair: Pair, compile: str) -> None:
        self.pair = pair
        self._captured = Captured(self._piece, self._roots, compile, "piece of the evaluation")

    def draws_of_a_run(self, num_particles: int) -> int:
        """How many of K draws can be one run of the pair, which was looked at: all, or one."""
        return 1 if self.pair.scope.vectorized is False else num_particles

    def measured(self, some: Some, num_rows: int, num_particles: int, budget: float) -> Bytes:
        """What a piece takes in memory as Python, at draws that come again.

        Args:
            some: rows from one number to another.
            num_rows: the most rows that it is measured on.
            num_particles: K, or 1 where draws are looped.
            budget: bytes of a piece.
        """

        def piece(draws: int, rows: int) -> Any:
            return self._piece((some(0, rows), draws))

        with rehearsal(self.pair), pyro.validation_enabled(False):
            return measured(piece, num_rows, num_particles, budget)

    def begin(self, num_rows: int, num_particles: int, size: Pieces) -> None:
        """Take in how many pieces will come."""
        number = math.ceil(num_rows / size.rows) * math.ceil(num_particles / size.draws)
        self._captured.begin(number, size.rows)
        keep_freed_memory()

    def scored(self, batch: Batch, num_particles: int, draws: int) -> Scored:
        """Rows scored at K draws, some of them at a time.

        Args:
            batch: the rows.
            num_particles: K.
            draws: how many at a time.

        Raises:
            NotFiniteError: a site's log-density is NaN or plus infinity.
        """
        found: dict[str, list[Tensor]] = {}
        coordinates = Coordinates(self.known.means)
        with pyro.validation_enabled(False):
            for each in _sizes(num_particles, draws):
                piece = self._captured((batch, each))
                refuse_not_numbers(piece["largest"])
                for name, values in piece["scores"].items():
                    found.setdefault(name, []).append(values.double())
                coordinates.add(piece["coordinates"], each)
        return Scored(_averaged({n: torch.cat(v) for n, v in found.items()}), coordinates.result())

    def _piece(self, given: tuple[Batch, int]) -> dict[str, Any]:
        """What rows at so many draws give, in tensors alone.

        Log-densities in the dtype that they were computed in: it says how they are rounded.
        """
        batch, draws = given
        traces = trace_pair(self.pair, batch, draws)
        terms = LogTerms(self.pair, batch, traces, draws)
        nesting = self.pair.scope.plate_nesting or 0
        return {
            "largest": largest(terms),
            "scores": scores(terms, self.known.quantities),
            "coordinates": coordinate_sums(traces, terms, self.known.means, nesting),
        }

    def _roots(self) -> dict[str, Any]:
        """What decides what is computed."""
        return {"model": self.pair.model, "guide": self.pair.guide, **self.pair.leaves}


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
