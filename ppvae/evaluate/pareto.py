"""Whether importance weights can be trusted: the shape of their largest ones."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ppvae.arviz_bridge import smoothed_shape

__all__ = ["LEAST_DRAWS", "khat_threshold", "pareto_khat", "share_above"]

# A fifth of the draws makes a tail, and a tail of fewer than five draws has no shape.
LEAST_DRAWS = 25
# Weights that differ by less are equal: the rounding of a log-density in float32 is of this size.
_EQUAL = 1e-4


def pareto_khat(log_weight: Tensor) -> Tensor:
    r"""Shape k of the generalized Pareto distribution fitted to the largest weights of each datum.

    Weights of shape k > 0 have moments below 1/k only: above 1/2 the variance of their mean is
    infinite, and the nearer k is to 1, the more draws another digit takes. Of Gaussians
    p(z|x) = N(m, s_p^2) and q(z|x) = N(m, s_q^2), s_q < s_p, it is known:

    .. math:: k = 1 - s_q^2 / s_p^2

    Args:
        log_weight: log p(x, z) - log q(z|x) at K draws z ~ q(z|x), (K, B) nats.

    Returns:
        k-hat, (B,). Minus infinity where the largest weights are equal, so that there is no tail;
        infinity where fewer draws have any weight than make a tail; NaN where K is below 25, or
        where no such distribution fits, as for weights with few different values.

    Source: Vehtari, Simpson, Gelman, Yao & Gabry (2024), arXiv:1507.02646; the fit is ArviZ's.
    """
    weights = log_weight.detach().double().cpu().numpy().T
    found = np.full(len(weights), math.nan)
    if len(log_weight) >= LEAST_DRAWS:
        with np.errstate(invalid="ignore"):
            relative = weights - weights.max(1, keepdims=True)
        size = int(min(len(log_weight) / 5, 3 * math.sqrt(len(log_weight))))
        ends = [-size, size // 4 - size]
        least, quartile = np.partition(relative, ends, axis=1)[:, ends].T
        few = ~(least > math.log(np.finfo(float).tiny))
        flat = least > -_EQUAL
        known = ~(few | flat | (quartile == least))
        if known.any():
            fitted = smoothed_shape(relative[known])
            found[known] = np.where(np.isfinite(fitted), fitted, math.nan)
        found[few], found[flat] = math.inf, -math.inf
    return torch.from_numpy(found).to(log_weight.device)


def khat_threshold(num_draws: int) -> float:
    r"""The k-hat above which an estimate from K weights is unreliable.

    .. math:: \min(1 - 1 / \log_{10} K, 0.7)

    Args:
        num_draws: K, at least 25.

    Raises:
        ValueError: num_draws is below 25.

    Source: Vehtari et al. (2024), arXiv:1507.02646.
    """
    if num_draws < LEAST_DRAWS:
        raise ValueError(f"num_draws must be at least {LEAST_DRAWS}; got {num_draws}.")
    return min(1 - 1 / math.log10(num_draws), 0.7)


def share_above(khat: NDArray[np.float64], num_draws: int) -> float:
    """The share of the known k-hats that lie above their threshold; NaN if none is known."""
    known = khat[~np.isnan(khat)]
    return float((known > khat_threshold(num_draws)).mean()) if known.size else math.nan
