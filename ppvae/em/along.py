"""What EM climbs, as a function of one number: the picture of bounds that touch."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from ppvae.em.result import EMResult
from ppvae.em.table import JointTable, table_of
from ppvae.pair import as_batch

__all__ = ["Along", "along"]


class Along(NamedTuple):
    """L and the bounds of T steps at G values of one number, in nats per datum.

    Attributes:
        grid: the values, (G,).
        log_evidence: L(theta) there, (G,).
        elbo: J(theta; q_t) there, t = 0, ..., T - 1, (T, G).
        steps: theta_t at the start and after each step of EM, all of them.
        at_steps: L(theta_t), likewise.
    """

    grid: Tensor
    log_evidence: Tensor
    elbo: Tensor
    steps: Tensor
    at_steps: Tensor


@torch.no_grad()
def along(
    result: EMResult, batch: Any, name: str, place: tuple[int, ...], grid: Tensor, *, steps: int
) -> Along:
    """L(theta) and J(theta; q_t) as one number of the parameters moves, the others where they are.

    The bounds touch L at theta_t where EM moved this number alone.

    Args:
        result: of :func:`ppvae.em`.
        batch: the rows that it had.
        name: of the parameter, as in ``result.parameters``.
        place: where the number stands in it.
        grid: the values it takes, (G,).
        steps: T, for how many of the first steps bounds are wanted; all if there are fewer.

    Raises:
        ValueError: there is no such parameter.
    """
    if name not in result.parameters[0]:
        raise ValueError(f"name must be one of {sorted(result.parameters[0])}; got {name!r}.")
    pair, arguments = result.pair, as_batch(batch)
    leaf = pair.leaves[name]
    posteriors = []
    course = torch.stack([each[name][place] for each in result.parameters])
    for step in range(min(steps, result.steps)):
        result.load(step)
        posteriors.append(table_of(pair, arguments).posterior)
    result.load(-1)
    tables: list[JointTable] = []
    for value in grid:
        leaf[place] = value
        tables.append(table_of(pair, arguments))
    leaf[place] = course[-1]
    log_evidence = torch.stack([table.log_evidence.mean() for table in tables])
    bounds = [torch.stack([t.elbo(q).mean() for t in tables]) for q in posteriors]
    return Along(grid, log_evidence, torch.stack(bounds), course, result.per_datum)
