"""What is kept of many gradients: means of batches of draws, by parameter, and their products."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["BATCHES", "BatchMeans", "Products"]

Array = NDArray[np.float64]

# Batches of draws, from whose spread standard errors are taken: many, for tails near the normal's.
BATCHES = 40


@dataclass(frozen=True)
class Products:
    """Inner products over a block's coordinates: all that pooled statistics are functions of.

    Args:
        weight: draws in each batch, (S,).
        square: mean of |g|^2 over the draws of each batch, (S,).
        own: inner products of the batch means g_s, (S, S).
        other: of what they are held against, r_s; the same in every batch if that is exact.
        between: of g_s with r_t, (S, S).
        apart: of the deviations g_s - r_s, (S, S); by themselves, since differences of the others
            would lose all digits where g and r agree.
        precision: share of |g|^2 below which a variance is rounding.
    """

    weight: Array
    square: Array
    own: Array
    other: Array | None = None
    between: Array | None = None
    apart: Array | None = None
    precision: float = 0.0

    def without(self, batch: int) -> Products:
        """The same without one batch."""
        left = np.delete(np.arange(len(self.weight)), batch)
        grid = np.ix_(left, left)
        return Products(
            weight=self.weight[left],
            square=self.square[left],
            own=self.own[grid],
            other=None if self.other is None else self.other[grid],
            between=None if self.between is None else self.between[grid],
            apart=None if self.apart is None else self.apart[grid],
            precision=self.precision,
        )


class BatchMeans:
    """Takes gradients in, a few at a time, and keeps their means over batches of draws.

    Args:
        leaves: the parameters, by name.
        num_draws: how many gradients there will be.
    """

    def __init__(self, leaves: Mapping[str, Tensor], num_draws: int) -> None:
        self._num_draws = num_draws
        self._batches = min(BATCHES, num_draws)
        self._taken = 0
        self.weight = torch.bincount(self._batch_of(0, num_draws)).double().numpy()
        self._sums = {
            name: torch.zeros(self._batches, leaf.numel(), dtype=leaf.dtype, device=leaf.device)
            for name, leaf in leaves.items()
        }
        self._squares = {
            name: torch.zeros(self._batches, dtype=torch.float64, device=leaf.device)
            for name, leaf in leaves.items()
        }

    def add(self, gradients: Mapping[str, Tensor]) -> None:
        """Take in gradients by parameter, (draws, *shape)."""
        draws = len(next(iter(gradients.values())))
        batch = self._batch_of(self._taken, self._taken + draws)
        self._taken += draws
        for name, gradient in gradients.items():
            flat, place = gradient.reshape(draws, -1), batch.to(gradient.device)
            self._sums[name].index_add_(0, place, flat)
            self._squares[name].index_add_(0, place, flat.double().square().sum(1))

    @property
    def not_finite(self) -> str | None:
        """A parameter with a gradient that is NaN or infinite; None if there is none."""
        squares = self._squares.items()
        return next((name for name, each in squares if not bool(each.isfinite().all())), None)

    def products(
        self, names: Sequence[str], against: Mapping[str, Tensor] | BatchMeans | None = None
    ) -> Products:
        """The inner products over the coordinates of some parameters.

        Args:
            names: of the parameters.
            against: exact gradients by parameter, or what was kept of another estimator's.
        """
        size = self._batches
        square, own, other, between, apart = np.zeros(size), *np.zeros((4, size, size))
        for name in names:
            mean = self._mean(name)
            square += self._squares[name].cpu().numpy() / self.weight
            own += _gram(mean, mean)
            if against is not None:
                held = _held(against, name, mean)
                other += _gram(held, held)
                between += _gram(mean, held)
                apart += _gram(mean - held, mean - held)
        precision = max(torch.finfo(self._sums[name].dtype).eps for name in names)
        if against is None:
            return Products(self.weight, square, own, precision=precision)
        return Products(self.weight, square, own, other, between, apart, precision)

    def _batch_of(self, first: int, end: int) -> Tensor:
        return torch.arange(first, end) * self._batches // self._num_draws

    def _mean(self, name: str) -> Tensor:
        mean = self._sums[name].double()
        return mean / torch.as_tensor(self.weight, device=mean.device)[:, None]


def _held(against: Mapping[str, Tensor] | BatchMeans, name: str, mean: Tensor) -> Tensor:
    if isinstance(against, BatchMeans):
        return against._mean(name)
    return against[name].double().flatten().expand_as(mean)


def _gram(first: Tensor, second: Tensor) -> Array:
    product: Array = (first @ second.T).cpu().numpy()
    return product
