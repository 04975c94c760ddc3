"""The driver: factors updated in turn, and an objective that never falls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ppvae.monotone import refuse_fall

__all__ = ["Ascent", "coordinate_ascent"]


@dataclass(frozen=True, eq=False)
class Ascent:
    """The course of coordinate ascent over S sweeps of F factors.

    Attributes:
        objective: at the start and after each update, (1 + S F,), in nats.
        factors: the names of the factors, in the order in which they are updated.
        converged: whether the last sweep gained less than was asked for.
        watched: what ``watch`` gave at the start and after each update; empty without one.
    """

    objective: Tensor
    factors: tuple[str, ...]
    converged: bool
    watched: list[Any] = field(repr=False)

    @property
    def sweeps(self) -> int:
        """S, how often all factors were updated."""
        return (len(self.objective) - 1) // len(self.factors)


def coordinate_ascent(
    factors: Mapping[str, Callable[[], None]],
    objective: Callable[[], Tensor],
    *,
    sweeps: int = 1000,
    tolerance: float = 1e-10,
    watch: Callable[[], Any] | None = None,
) -> Ascent:
    r"""Raise an ELBO by setting each factor of q = prod_i q_i to its best, the others held.

    .. math:: \log q_i = E_{q_j, j \ne i}[\log p(x, z)] + const

    Args:
        factors: for each factor, by name, what updates it in place.
        objective: the ELBO at the factors as they are, () nats.
        sweeps: how often all factors are updated at most, at least 1.
        tolerance: ascent ends with a sweep that gains no more than this, in nats.
        watch: called at the start and after each update; what it gives is kept.

    Raises:
        ValueError: there is no factor, a number breaks these rules, or an update lowers the
            objective by more than rounding.

    Example:
        >>> import torch
        >>> from ppvae.coordinate_ascent import MeanFieldGaussian
        >>> covariance = torch.tensor([[1.0, 0.5], [0.5, 1.0]])
        >>> q = MeanFieldGaussian(torch.zeros(2), covariance, start=torch.tensor([1.0, 1.0]))
        >>> ascent = coordinate_ascent(q.factors, q.elbo)
        >>> q.variance  # 1 / (covariance^-1)_ii, too small
        tensor([0.7500, 0.7500])

    Source: Bishop (2006), Pattern recognition and machine learning, section 10.1.1, eq. 10.9.
    """
    if not factors:
        raise ValueError("factors must name at least one; got none.")
    if sweeps < 1:
        raise ValueError(f"sweeps must be at least 1; got {sweeps}.")
    if not 0 <= tolerance < float("inf"):
        raise ValueError(f"tolerance must be at least 0 and finite; got {tolerance}.")
    course = [objective().detach()]
    watched = [] if watch is None else [watch()]
    converged = False
    for sweep in range(1, sweeps + 1):
        for name, update in factors.items():
            update()
            course.append(objective().detach())
            refuse_fall(course[-2], course[-1], f"the update of {name!r} in sweep {sweep}")
            if watch is not None:
                watched.append(watch())
        if course[-1] - course[-1 - len(factors)] <= tolerance:
            converged = True
            break
    return Ascent(torch.stack(course), tuple(factors), converged, watched)
