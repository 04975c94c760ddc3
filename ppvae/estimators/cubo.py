"""The chi upper bound."""

from __future__ import annotations

import math

from ppvae.estimators.means import PowerMean
from ppvae.estimators.upper import UpperEstimate

__all__ = ["CUBO"]


class CUBO(UpperEstimate):
    r"""Chi upper bound of order n, estimated from K draws.

    .. math:: \frac{1}{n} \log E_{q(z|x)} [w^n] \ge \log p(x), \quad
        \frac{1}{n} \log \frac{1}{K} \sum_k w_k^n \text{ reported}

    It is infinite where the tails of q are too light. The logarithm of a mean of K draws lies below
    its limit in expectation, so that what is reported may lie below log p(x) where K is small. On
    every draw it lies above the log of the mean weight.

    The guide lowers the bound, along

    .. math:: - \nabla_\phi \frac{1}{n} \log E_q [w^n]
        = \frac{n - 1}{n} E_{\pi_n} [\nabla_\phi \log q(z|x)], \quad \pi_n \propto q w^n

    with weights w^n over their own sum: a bias of order 1 / K. The paper lowers E_q[w^n] instead,
    which has no such bias, and gradients that grow as p(x)^n. The model follows the
    importance-weighted bound. See :class:`UpperEstimate`.

    Args:
        order: n, finite and above 1.
        num_particles: K, draws from the guide per datum, at least 2.

    Raises:
        ValueError: order is not above 1 or not finite, or num_particles is below 2.

    Source: Dieng et al. (2017), arXiv:1611.00328.
    """

    def __init__(self, order: float, num_particles: int) -> None:
        if not 1 < order < math.inf:
            raise ValueError(
                f"order must be finite and above 1, where the bound is log p(x); got {order}."
            )
        super().__init__(PowerMean(float(order)), num_particles)
        self.order = float(order)

    def extra_repr(self) -> str:
        """The settings, as they were given."""
        return f"order={self.order:g}, {super().extra_repr()}"
