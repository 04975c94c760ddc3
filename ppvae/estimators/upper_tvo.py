"""The thermodynamic objective from above."""

from __future__ import annotations

from collections.abc import Sequence

from ppvae.estimators.partition import partition_of
from ppvae.estimators.riemann import RiemannSum
from ppvae.estimators.upper import UpperEstimate

__all__ = ["UpperTVO"]


class UpperTVO(UpperEstimate):
    r"""Thermodynamic upper bound, estimated: the right Riemann sum of log p(x) as an integral.

    .. math:: \sum_i (\beta_{i+1} - \beta_i) E_{\pi_{\beta_{i+1}}} [\log w] \ge \log p(x), \quad
        \pi_\beta \propto q(z|x)^{1 - \beta} p(x, z)^\beta

    On every draw the estimate lies above the log of the mean weight, which says nothing of
    log p(x): its expectation may lie below that where K is small. It is above as K grows.

    The guide lowers it; with one partition that is the wake-phi update of reweighted wake-sleep,
    with a control variate. The model follows the importance-weighted bound. See
    :class:`UpperEstimate`.

    Args:
        partition: how many parts [0, 1] is cut into, spaced as :func:`log_spaced` has it, or the
            points themselves, rising from 0 to 1.
        num_particles: K, draws from the guide per datum, at least 2.

    Raises:
        ValueError: the points do not rise from 0 to 1, their number is below 1, or num_particles
            is below 2.

    Source: Masrani, Le & Wood (2019), arXiv:1907.00031.
    """

    def __init__(self, partition: int | Sequence[float], num_particles: int) -> None:
        self.points = partition_of(partition)
        super().__init__(RiemannSum(self.points, right=True), num_particles)

    def target(self, role: str) -> str:
        """With one partition the guide lowers the inclusive KL."""
        whole = role == "guide" and len(self.points) == 2
        return "inclusive KL" if whole else super().target(role)

    def extra_repr(self) -> str:
        """The settings, as they were given."""
        return f"{self.means}, {super().extra_repr()}"
