"""The mean of weights that are held as logarithms."""

from __future__ import annotations

import math

from torch import Tensor

__all__ = ["log_mean"]


def log_mean(log_weight: Tensor) -> Tensor:
    """Log of the mean weight over draws, in nats: (..., K, B) to (..., B)."""
    return log_weight.logsumexp(-2) - math.log(log_weight.shape[-2])
