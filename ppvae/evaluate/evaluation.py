"""A pair judged by data: log p(x), its bounds, and its codes, each with unit and error."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from ppvae.evaluate.described import add_coordinates, add_share_above, by_row, joined
from ppvae.evaluate.held_out import HeldOut, held_out
from ppvae.evaluate.look import look, looked_at
from ppvae.evaluate.pieces import BUDGET, most_even, pieces
from ppvae.evaluate.scoring import Scored, Scoring, Some
from ppvae.exact import exact_on, knows
from ppvae.experiment import Experiment
from ppvae.named import name_of
from ppvae.pair import Batch, Pair
from ppvae.passes import as_pair, at_rest, select_rows

__all__ = ["evaluate"]

# Rows on which a pair is looked at before it is judged, fewer where they hold so many numbers.
_FEW, _FEW_NUMBERS = 64, 2**20
_OF_WHOLE_ROWS = "log_evidence_exact is left out: it is known of rows without holes alone."


def evaluate(
    run: Any,
    data: Any = None,
    *,
    split: str = "test",
    num_particles: int = 1000,
    seed: int = 0,
    chunk: int | None = None,
    compile: str = "auto",
) -> xr.Dataset:
    """What a pair is worth on data, per datum and in the mean, as a dataset.

    The pair is run as it is, without dropout and without gradients, and left as it was. Each datum
    is scored at K draws from the guide; all that is estimated comes from the same draws.

    Args:
        run: a run, an experiment, a Pair or a tuple (model, guide).
        data: a data set; or x, (N, ...), or named fields; a run's own data if not given.
        split: which rows of a data set: "train", "valid" or "test". Binarised rows are those of
            the one fixed draw.
        num_particles: K. 1000 leave little between the estimate and log p(x) for a fair guide;
            the effective sample size tells.
        seed: of the draws. Equal seed, chunk and kind of device give equal numbers.
        chunk: the most draws times rows that are scored at once; by default as many as keep the
            tensors that live at once below 32 MB (1 GiB on a GPU), which a few small pieces
            tell. Draws are taken in the order of the chunks: another chunk is another set of
            draws. ``attrs["chunk"]`` is what was taken.
        compile: how chunks are scored. "off": Pyro's Python each time. "replay": the operations
            that it did, without the Python, bit for bit the same numbers. "inductor": these
            compiled, the same up to rounding. "auto": the one that pays for so many chunks of this
            shape. What cannot be captured runs as Python, with a warning.

    Returns:
        By ``row`` (the row's number in the data set), in nats:

        - ``log_evidence``, log p(x) estimated by the importance-weighted bound of K draws, with
          ``log_evidence_se`` (:func:`ppvae.evaluate.evidence.estimate_evidence`) and ``ess``, how
          many equal weights would be as good as the K.
        - ``khat``, the shape of the tail of the K weights
          (:func:`ppvae.evaluate.pareto.pareto_khat`), and ``khat_share_above``, the share of rows
          in which it is above its threshold: there the estimate is not to be trusted.
        - ``elbo``, the mean log-weight; ``reconstruction``, E_q[log p(x|z)]; ``kl``, which is
          closed where ``attrs["kl"]`` says so, and then differs from reconstruction - elbo by the
          noise of the draws. Each has its standard error over the draws, ``elbo_se``, ...
        - ``log_evidence_exact``, where the experiment knows it.
        - ``bits_per_dim``, -log_evidence / (P ln 2) of the P values that are scored, for discrete
          x only: of a density, the bits depend on the scale of x.

        By ``latent``, the coordinates z[0], z[1], ... of the codes: ``kl_by_dim``, the mean over
        rows of KL(q || p), where q and p are independent over coordinates; ``activity``, the
        variance over rows of E_q[z|x]; ``active``, whether that is above 0.01.

        ``..._mean`` is the mean over rows, ``..._mean_se`` its standard error over rows (the
        noise of draws is in it), ``..._mean_draws_se`` the part of the draws alone. What has no
        meaning for a pair is left out; ``attrs["note"]`` says why.

        Of a pair with latent sites outside of the data plate, such as weights with a prior,
        ``log_evidence`` is the log predictive density of a row, log E_q(w)[p(x|w)], the weights
        drawn from the guide as they are, ``elbo`` a bound on it, and ``..._mean_draws_se`` an
        upper bound, since rows share draws. ``attrs["shared"]`` names these sites, and
        ``attrs["scored"]`` what is scored: x, or other observed sites by name.

    Raises:
        ValueError: an argument, the rows or the pair breaks a rule.
        TypeError: num_particles, seed or chunk is no whole number, or run is something else.
        NotFiniteError: a log-density is NaN; the message names the site.

    Source: Burda, Grosse & Salakhutdinov (2016), arXiv:1509.00519 (estimate, active units).
    """
    _refuse(num_particles=num_particles, seed=seed, chunk=chunk)
    pair = Pair(run.model, run.guide) if isinstance(run, Experiment) else as_pair(run)
    scoring = Scoring(pair, compile)
    rows = held_out(run, data, split)
    exact = getattr(getattr(run, "experiment", run), "log_evidence", None)
    notes = []
    if exact is not None and not knows(exact, rows.batch, pair.model):
        exact, notes = None, [_OF_WHOLE_ROWS]
    with at_rest(pair, seed) as device:
        some = partial(_rows, pair, rows, device)
        at_once = _looked(scoring, rows, some, num_particles, chunk)
        parts = _parts(scoring, some, len(rows), num_particles, at_once, exact)
    known = scoring.known.quantities
    values = joined(parts)
    if known.has_bits:
        num_values = rows.num_values(pair.model)
        bits = -values["log_evidence"] / math.log(2)
        # A row of which nothing is observed has no bits per value.
        values["bits_per_dim"] = np.divide(
            bits, num_values, out=np.full(len(rows), math.nan), where=num_values > 0
        )
    found = by_row(values, rows.row, bool(known.shared))
    notes += [*known.notes, *add_coordinates(found, parts, known.has_evidence)]
    notes += add_share_above(found, num_particles)
    attrs = {"num_particles": num_particles, "seed": seed, "chunk": at_once, **rows.attrs}
    attrs |= {"scored": known.scored, "shared": " ".join(known.shared), "kl": known.kl}
    return found.assign_attrs(attrs, **_names(run), note=" ".join(notes))


def _refuse(**numbers: Any) -> None:
    for name, value in numbers.items():
        if value is None and name == "chunk":
            continue
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{name} must be a whole number; got {value!r}.")
        if name == "seed" and not 0 <= value < 2**32:
            raise ValueError(f"seed must be between 0 and 2**32 - 1; got {value}.")
        if name != "seed" and value < 1:
            raise ValueError(f"{name} must be at least 1; got {value}.")


def _looked(
    scoring: Scoring, rows: HeldOut, some: Some, num_particles: int, chunk: int | None
) -> int:
    """The most draws times rows of a piece, after a look at the pair on a few rows and on all."""
    few = min(len(rows), _FEW, max(2, _FEW_NUMBERS // max(1, rows.x[0].numel())))
    batch = some(0, few)
    scoring.known = look(scoring.pair, batch, few, num_particles)
    at_once = alone = chunk or 0
    if not at_once:
        device = next(v.device for v in (*batch[0], *batch[1].values()) if isinstance(v, Tensor))
        budget = BUDGET["cuda" if device.type == "cuda" else "cpu"]
        draws = scoring.draws_of_a_run(num_particles)
        taken = scoring.measured(some, few, draws, budget)
        at_once = most_even(len(rows), draws, max(1, int(budget / taken.each)))
        alone = max(1, int(budget / taken.alone))
    for start in range(0, len(rows), alone):
        more = some(start, start + alone)
        scoring.known = looked_at(scoring.known, scoring.pair, more)
    return at_once


def _parts(
    scoring: Scoring,
    some: Some,
    num_rows: int,
    num_particles: int,
    at_once: int,
    exact: Callable[[Tensor], Tensor] | None,
) -> list[Scored]:
    """What was found of the rows, so many at a time."""
    size = pieces(num_rows, scoring.draws_of_a_run(num_particles), at_once)
    scoring.begin(num_rows, num_particles, size)
    parts = []
    for start in range(0, num_rows, size.rows):
        batch = some(start, start + size.rows)
        part = scoring.scored(batch, num_particles, size.draws)
        if exact is not None and scoring.known.quantities.has_evidence:
            part.values["log_evidence_exact"] = _exact(exact, batch, scoring.pair)
        parts.append(part)
    return parts


def _rows(pair: Pair, rows: HeldOut, device: torch.device | None, start: int, stop: int) -> Batch:
    """Some rows, on the device of the pair and in its floating dtype."""
    args, fields = select_rows(rows.batch, slice(start, stop), device)
    leaves = (leaf.dtype for leaf in pair.leaves.values())
    dtype = next((dtype for dtype in leaves if dtype.is_floating_point), None)

    def cast(value: Any) -> Any:
        floating = isinstance(value, Tensor) and value.is_floating_point()
        return value.to(dtype) if floating and dtype is not None else value

    return tuple(map(cast, args)), {name: cast(value) for name, value in fields.items()}


def _exact(log_evidence: Callable[[Tensor], Tensor], batch: Batch, pair: Pair) -> Tensor:
    args, fields = batch
    x = args[0] if args else fields["x"]
    values = exact_on(log_evidence, batch, pair.model)
    if values.shape != x.shape[:1]:
        raise ValueError(
            f"log_evidence of the experiment must return ({len(x)},) for {len(x)} rows; "
            f"got shape {tuple(values.shape)}."
        )
    return values.double()


def _names(run: Any) -> dict[str, str]:
    experiment = run if isinstance(run, Experiment) else getattr(run, "experiment", None)
    if not isinstance(experiment, Experiment):
        return {"experiment": "", "estimator": ""}
    recipe = experiment.recipe
    return {
        "experiment": "" if recipe is None else recipe.name,
        "estimator": name_of(experiment.estimator),
    }
