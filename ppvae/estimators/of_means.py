"""Bounds that are built of means over the draws of each datum."""

from __future__ import annotations

import torch
from torch import Tensor

from ppvae.estimators.gradient import Gradient
from ppvae.estimators.means import Means
from ppvae.estimators.of_weights import OfWeights

__all__ = ["OfMeans"]


class OfMeans(OfWeights):
    """A bound that is built of means over the draws, so that its limit for many draws is known.

    Args:
        means: the function of the weights.
        num_particles: K, draws from the guide per datum, at least 1.
        gradient: how the gradient is estimated; through reparameterized draws unless given.
        expected: whether enumerated labels are summed outside of the bound, under q(y|x).

    Raises:
        ValueError: num_particles is below 1.
        TypeError: gradient is no Gradient.
    """

    def __init__(
        self,
        means: Means,
        num_particles: int,
        *,
        gradient: Gradient | None = None,
        expected: bool = False,
    ) -> None:
        super().__init__(num_particles, gradient=gradient, expected=expected)
        self.means = means

    def of_weights(self, log_weight: Tensor) -> Tensor:
        """The bound, of draws that count alike: (..., K, B) to (..., B)."""
        return self.means(log_weight, torch.zeros_like(log_weight))

    def slopes(self, log_weight: Tensor) -> Tensor:
        """Those of the means, (..., K, B)."""
        return self.means.slopes(log_weight.detach())

    def curvatures(self, log_weight: Tensor) -> Tensor:
        """Those of the means, (..., K, B)."""
        return self.means.curvatures(log_weight.detach())
