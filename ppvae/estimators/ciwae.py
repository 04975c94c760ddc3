"""Between the evidence lower bound and the importance-weighted one."""

from __future__ import annotations

from torch import Tensor

from ppvae.estimators.gradient import Gradient
from ppvae.estimators.log_mean import log_mean
from ppvae.estimators.of_weights import OfWeights

__all__ = ["CIWAE"]


class CIWAE(OfWeights):
    r"""Combination of the evidence lower bound and the importance-weighted bound of K draws.

    .. math:: \beta \frac{1}{K} \sum_k \log w_k + (1 - \beta) \log \frac{1}{K} \sum_k w_k, \quad
        w_k = p(x, z_k) / q(z_k|x)

    beta = 1 is the ELBO and beta = 0 the IWAE, of the same draws. The ELBO's part keeps the guide's
    signal above its noise where K is large.

    Args:
        beta: share of the ELBO, from 0 to 1.
        num_particles: K, draws from the guide per datum, at least 1.
        gradient: how the gradient is estimated; through reparameterized draws unless given.
        expected: whether enumerated labels are summed outside of the bound, under q(y|x).

    Raises:
        ValueError: beta lies outside of 0 to 1, or num_particles is below 1.
        TypeError: gradient is no Gradient.

    Source: Rainforth et al. (2018), arXiv:1802.04537, section 5.
    """

    bound_kind = "lower"

    def __init__(
        self,
        beta: float,
        num_particles: int = 1,
        *,
        gradient: Gradient | None = None,
        expected: bool = False,
    ) -> None:
        super().__init__(num_particles, gradient=gradient, expected=expected)
        if not 0 <= beta <= 1:
            raise ValueError(f"beta must be between 0 and 1; got {beta}.")
        self.beta = float(beta)

    def of_weights(self, log_weight: Tensor) -> Tensor:
        """Both bounds, each with its share: (..., K, B) to (..., B)."""
        return self.beta * log_weight.mean(-2) + (1 - self.beta) * log_mean(log_weight)

    def slopes(self, log_weight: Tensor) -> Tensor:
        """Beta / K + (1 - beta) v of the normalized weights v, (..., K, B)."""
        normalized = log_weight.detach().softmax(-2)
        return self.beta / log_weight.shape[-2] + (1 - self.beta) * normalized

    def curvatures(self, log_weight: Tensor) -> Tensor:
        """(1 - beta) (v - v^2) of the normalized weights v, (..., K, B)."""
        normalized = log_weight.detach().softmax(-2)
        return (1 - self.beta) * (normalized - normalized.square())

    def extra_repr(self) -> str:
        """The settings, as they were given."""
        return f"beta={self.beta:g}, {super().extra_repr()}"
