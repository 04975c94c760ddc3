"""The importance-weighted bound."""

from __future__ import annotations

import math

from torch import Tensor

from ppvae.estimators.base import Estimator, per_datum, weights_of_draws
from ppvae.terms import LogTerms

__all__ = ["IWAE"]


class IWAE(Estimator):
    r"""Importance-weighted bound of K draws, tighter with every draw.

    .. math:: E_{z_1, \dots, z_K \sim q(z|x)} [\log \frac{1}{K} \sum_k w_k], \quad
        w_k = p(x, z_k) / q(z_k|x)

    The mean of the weights is taken per datum, before the N/B scale of a subsampled plate is
    applied: inside of it the result is no bound any more. Enumerated labels are summed inside the
    weight, and then q(y|x) has no gradient.

    Args:
        num_particles: K, draws from the guide per datum, at least 1.

    Raises:
        ValueError: num_particles is below 1.

    Source: Burda, Grosse & Salakhutdinov (2016), arXiv:1509.00519, section 3.
    """

    bound_kind = "lower"

    def bound(self, terms: LogTerms) -> Tensor:
        """The bound in nats, (B,)."""
        log_weight = weights_of_draws(self, terms)
        return per_datum(log_weight.logsumexp(0) - math.log(len(log_weight)), terms)

    def extra_repr(self) -> str:
        """The settings, as they were given."""
        return f"num_particles={self.num_particles}"
