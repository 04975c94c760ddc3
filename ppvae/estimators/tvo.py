"""The thermodynamic variational objective."""

from __future__ import annotations

from collections.abc import Sequence

from ppvae.estimators.gradient import Gradient
from ppvae.estimators.gradients.self_normalized import SelfNormalized
from ppvae.estimators.of_means import OfMeans
from ppvae.estimators.partition import partition_of
from ppvae.estimators.riemann import RiemannSum

__all__ = ["TVO"]


class TVO(OfMeans):
    r"""Thermodynamic variational objective: the left Riemann sum of log p(x) as an integral.

    .. math:: \log p(x) = \int_0^1 E_{\pi_\beta} [\log w] d\beta
        \ge \sum_i (\beta_{i+1} - \beta_i) E_{\pi_{\beta_i}} [\log w], \quad
        \pi_\beta \propto q(z|x)^{1 - \beta} p(x, z)^\beta

    Each expectation is estimated from the same K draws by weights w^beta over their sum. On every
    draw the sum lies below the log of the mean weight, so that its expectation lies below that of
    the importance-weighted bound, and with it below log p(x), for every K. One partition is the
    ELBO.

    Args:
        partition: how many parts [0, 1] is cut into, spaced as :func:`log_spaced` has it, or the
            points themselves, rising from 0 to 1.
        num_particles: K, draws from the guide per datum, at least 1; 2 with the gradient below.
        gradient: how the gradient is estimated; :class:`SelfNormalized` unless given, which is the
            paper's, for drawn sites of every kind. ``Reparameterized()`` is that of the sum as it
            stands, and unbiased.
        expected: whether enumerated labels are summed outside of the bound, under q(y|x).

    Raises:
        ValueError: the points do not rise from 0 to 1, or their number or num_particles is below 1.
        TypeError: gradient is no Gradient.

    Source: Masrani, Le & Wood (2019), arXiv:1907.00031.
    """

    bound_kind = "lower"

    def __init__(
        self,
        partition: int | Sequence[float],
        num_particles: int,
        *,
        gradient: Gradient | None = None,
        expected: bool = False,
    ) -> None:
        gradient = SelfNormalized() if gradient is None else gradient
        means = RiemannSum(partition_of(partition), right=False)
        super().__init__(means, num_particles, gradient=gradient, expected=expected)

    def extra_repr(self) -> str:
        """The settings, as they were given."""
        return f"{self.means}, {super().extra_repr()}"
