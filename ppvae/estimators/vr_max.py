"""The largest weight: the limit of the Renyi bounds."""

from __future__ import annotations

import torch
from torch import Tensor

from ppvae.estimators.of_weights import OfWeights

__all__ = ["VRMax"]


class VRMax(OfWeights):
    r"""The largest of K log-weights, called VR-max: the Renyi bound of order minus infinity.

    .. math:: \max_k \log w_k, \quad w_k = p(x, z_k) / q(z_k|x)

    On every draw it lies between the importance-weighted bound and that bound plus log K. It bounds
    log p(x) on no side: with enough draws it exceeds it wherever some weight does.

    Args:
        num_particles: K, draws from the guide per datum, at least 1.
        gradient: how the gradient is estimated; through reparameterized draws unless given. Only
            the draw of the largest weight has one.
        expected: whether enumerated labels are summed outside, under q(y|x).

    Raises:
        ValueError: num_particles is below 1.
        TypeError: gradient is no Gradient.

    Source: Li & Turner (2016), arXiv:1602.02311, section 4.
    """

    bound_kind = "none"

    def of_weights(self, log_weight: Tensor) -> Tensor:
        """The largest log-weight: (..., K, B) to (..., B)."""
        return log_weight.amax(-2)

    def slopes(self, log_weight: Tensor) -> Tensor:
        """1 at the largest weight, shared evenly by equals, 0 elsewhere, (..., K, B)."""
        largest = (log_weight == log_weight.amax(-2, keepdim=True)).to(log_weight.dtype)
        return largest / largest.sum(-2, keepdim=True)

    def curvatures(self, log_weight: Tensor) -> Tensor:
        """Zero, (..., K, B)."""
        return torch.zeros_like(log_weight)
