"""The variational Renyi bound."""

from __future__ import annotations

import math

from ppvae.estimators.gradient import Gradient
from ppvae.estimators.means import PowerMean
from ppvae.estimators.of_means import OfMeans

__all__ = ["Renyi"]


class Renyi(OfMeans):
    r"""Variational Renyi bound of order alpha from K draws.

    .. math:: \frac{1}{1 - \alpha} \log \frac{1}{K} \sum_k w_k^{1 - \alpha}, \quad
        w_k = p(x, z_k) / q(z_k|x)

    alpha = 0 is the importance-weighted bound, alpha -> 1 the ELBO. For alpha >= 0 its expectation
    lies below log p(x) for every K; for alpha < 0 it may lie on either side.

    Args:
        alpha: order, a finite number other than 1.
        num_particles: K, draws from the guide per datum, at least 1.
        gradient: how the gradient is estimated; through reparameterized draws unless given.
        expected: whether enumerated labels are summed outside of the bound, under q(y|x).

    Raises:
        ValueError: alpha is 1 or not finite, or num_particles is below 1.
        TypeError: gradient is no Gradient.

    Source: Li & Turner (2016), arXiv:1602.02311, section 4.
    """

    def __init__(
        self,
        alpha: float,
        num_particles: int = 1,
        *,
        gradient: Gradient | None = None,
        expected: bool = False,
    ) -> None:
        if alpha == 1 or not math.isfinite(alpha):
            raise ValueError(f"alpha must be finite and not 1, which is the ELBO; got {alpha}.")
        means = PowerMean(1.0 - float(alpha))
        super().__init__(means, num_particles, gradient=gradient, expected=expected)
        self.alpha = float(alpha)
        self.bound_kind = "lower" if alpha >= 0 else "none"

    def extra_repr(self) -> str:
        """The settings, as they were given."""
        return f"alpha={self.alpha:g}, {super().extra_repr()}"
