"""The importance-weighted bound."""

from __future__ import annotations

from torch import Tensor

from ppvae.estimators.log_mean import log_mean
from ppvae.estimators.of_weights import OfWeights

__all__ = ["IWAE", "target_of_draws"]


class IWAE(OfWeights):
    r"""Importance-weighted bound of K draws, tighter with every draw.

    .. math:: E_{z_1, \dots, z_K \sim q(z|x)} [\log \frac{1}{K} \sum_k w_k], \quad
        w_k = p(x, z_k) / q(z_k|x)

    The mean of the weights is taken per datum, before the N/B scale of a subsampled plate is
    applied: inside of it the result is no bound any more.

    Args:
        num_particles: K, draws from the guide per datum, at least 1.
        gradient: how the gradient is estimated; through reparameterized draws unless given.
        expected: whether enumerated labels are summed outside of the bound, under q(y|x);
            inside of the weight they make it tighter, and q(y|x) has no gradient.

    Raises:
        ValueError: num_particles is below 1.
        TypeError: gradient is no Gradient.

    Source: Burda, Grosse & Salakhutdinov (2016), arXiv:1509.00519, eqs. 8 and 14.
    """

    bound_kind = "lower"

    def of_weights(self, log_weight: Tensor) -> Tensor:
        """Log of the mean weight: (..., K, B) to (..., B)."""
        return log_mean(log_weight)

    def target(self, role: str) -> str:
        """L_K, which is the ELBO for K = 1."""
        return target_of_draws(self.num_particles, self.expected)

    def slopes(self, log_weight: Tensor) -> Tensor:
        """The normalized weights, (..., K, B)."""
        return log_weight.detach().softmax(-2)

    def curvatures(self, log_weight: Tensor) -> Tensor:
        """Of the normalized weights v: v - v^2, (..., K, B)."""
        normalized = log_weight.detach().softmax(-2)
        return normalized - normalized.square()


def target_of_draws(num_particles: int, expected: bool = False) -> str:
    """What estimators of L_K's gradient call it, so that they are held against each other."""
    if num_particles == 1:
        return "ELBO"
    return f"L_{num_particles}" + (", labels outside" if expected else "")
