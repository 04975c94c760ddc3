"""Sums that approximate log p(x), the integral of a tempered expectation over [0, 1]."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from ppvae.estimators.means import Means

__all__ = ["RiemannSum"]


class RiemannSum(Means):
    r"""Sum_i width_i E_{beta_i}[log w] under weights tempered by beta_i, from K draws.

    .. math:: E_\beta [\log w] \approx \sum_k v_k \log w_k, \quad v_k \propto w_k^\beta

    which rises with beta on every draw, and whose integral over [0, 1] is the log of the mean
    weight.

    Args:
        points: where a partition of [0, 1] is cut.
        right: whether each interval takes the value at its right end, and not at its left.
    """

    def __init__(self, points: Sequence[float], *, right: bool) -> None:
        self.points = tuple(points)
        self.num_partitions = len(self.points) - 1
        self._terms = [
            (above if right else below, above - below) for below, above in pairwise(self.points)
        ]

    def __call__(self, log_weight: Tensor, log_count: Tensor) -> Tensor:
        """The sum where draw k counts exp(log_count_k)-fold: (..., K, B) to (..., B)."""
        return torch.stack(
            [
                width * _mean(log_weight, _shares(log_weight, beta, log_count)).squeeze(-2)
                for beta, width in self._terms
            ]
        ).sum(0)

    def __repr__(self) -> str:
        points = ", ".join(f"{point:.3g}" for point in self.points)
        return f"[{points}]"

    def slopes(self, log_weight: Tensor) -> Tensor:
        """Sum_i width_i v (1 + beta_i (log w - mean)), (..., K, B)."""
        total = torch.zeros_like(log_weight)
        for beta, width in self._terms:
            total += width * _slopes(log_weight, beta)[1]
        return total

    def curvatures(self, log_weight: Tensor) -> Tensor:
        """The second derivatives, sum_i width_i beta_i (s (1 - 2 v) + v (1 - v)), (..., K, B).

        With s the slope in the term i: s = v u and u = 1 + beta (log w - mean), the derivatives
        are v' = beta v (1 - v) and u' = beta (1 - s).
        """
        total = torch.zeros_like(log_weight)
        for beta, width in self._terms:
            normalized, slopes = _slopes(log_weight, beta)
            of_weight, of_rest = slopes * (1 - normalized), normalized * (1 - slopes)
            total += width * beta * (of_weight + of_rest)
        return total


def _shares(log_weight: Tensor, beta: float, log_count: Tensor | float = 0.0) -> Tensor:
    # The guide itself, at 0, has draws of weight zero too: 0 times -inf is not a number.
    tempered = beta * log_weight if beta else torch.zeros_like(log_weight)
    return (tempered + log_count).softmax(-2)


def _slopes(log_weight: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    normalized = _shares(log_weight, beta)
    return normalized, normalized * (1 + beta * (log_weight - _mean(log_weight, normalized)))


def _mean(log_weight: Tensor, normalized: Tensor) -> Tensor:
    # A draw of weight zero has no part in the mean, though its logarithm is infinite.
    finite = log_weight.masked_fill(normalized == 0, 0.0)
    return (normalized * finite).sum(-2, keepdim=True)
