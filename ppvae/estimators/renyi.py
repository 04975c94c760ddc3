"""The variational Renyi bound."""

from __future__ import annotations

import math

from torch import Tensor

from ppvae.estimators.base import Estimator, per_datum, weights_of_draws
from ppvae.terms import LogTerms

__all__ = ["Renyi"]


class Renyi(Estimator):
    r"""Variational Renyi bound of order alpha from K draws.

    .. math:: \frac{1}{1 - \alpha} \log \frac{1}{K} \sum_k w_k^{1 - \alpha}, \quad
        w_k = p(x, z_k) / q(z_k|x)

    alpha = 0 is the importance-weighted bound, alpha -> 1 the ELBO. For alpha >= 0 its expectation
    lies below log p(x) for every K; for alpha < 0 it may lie on either side.

    Args:
        alpha: order, a finite number other than 1.
        num_particles: K, draws from the guide per datum, at least 1.

    Raises:
        ValueError: alpha is 1 or not finite, or num_particles is below 1.

    Source: Li & Turner (2016), arXiv:1602.02311, section 4.
    """

    def __init__(self, alpha: float, num_particles: int = 1) -> None:
        super().__init__(num_particles)
        if alpha == 1 or not math.isfinite(alpha):
            raise ValueError(f"alpha must be finite and not 1, which is the ELBO; got {alpha}.")
        self.alpha = float(alpha)
        self.bound_kind = "lower" if alpha >= 0 else "none"

    def bound(self, terms: LogTerms) -> Tensor:
        """The bound in nats, (B,)."""
        power = 1.0 - self.alpha
        log_weight = power * weights_of_draws(self, terms)
        log_mean = log_weight.logsumexp(0) - math.log(len(log_weight))
        return per_datum(log_mean / power, terms)

    def extra_repr(self) -> str:
        """The settings, as they were given."""
        return f"alpha={self.alpha:g}, num_particles={self.num_particles}"
