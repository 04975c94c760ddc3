"""The ELBO with a KL that is drawn to a capacity, which may be raised while training."""

from __future__ import annotations

import math

from torch import Tensor

from ppvae.estimators.around_elbo import AroundELBO, mean_over_rows
from ppvae.schedules import Schedule, scheduled
from ppvae.terms import LogTerms

__all__ = ["CapacityELBO"]


class CapacityELBO(AroundELBO):
    r"""A reconstruction at a KL drawn to C is followed, the ELBO reported.

    .. math:: E_{q(z|x)} [\log p(x|z)] - \gamma |KL(q(z|x) || p(z)) - C|

    KL is the mean over the rows of a batch: of two rows, one may tell more than C and the other
    less. Taken per datum, as some have it, every row would be drawn to the same C. To raise C while
    training: ``CapacityELBO(1000.0, Schedule(0.0, 25.0, steps=100_000))``.

    Args:
        gamma: strength of the pull, positive.
        capacity: C in nats per datum, a number or a schedule of numbers, at least 0.
        num_particles: K, draws from the guide per datum, at least 1.
        analytic_kl: whether KL(q(z|x) || p(z)) is taken in closed form at every site where
            PyTorch or Pyro has one, and sampled elsewhere; it has less noise.

    Raises:
        ValueError: gamma is not positive and finite, capacity is below 0 or not finite, or
            num_particles is below 1.
        TypeError: capacity is no number and no schedule.

    Source: Burgess et al. (2018), arXiv:1804.03599, eq. 8; the mean over the batch as in Locatello
    et al. (2019), arXiv:1811.12359 (disentanglement_lib).
    """

    def __init__(
        self,
        gamma: float,
        capacity: float | Schedule,
        num_particles: int = 1,
        analytic_kl: bool = False,
    ) -> None:
        super().__init__(num_particles, analytic_kl)
        if not 0 < gamma < math.inf:
            raise ValueError(f"gamma must be positive and finite; got {gamma}.")
        self.gamma = float(gamma)
        self.capacity = scheduled("capacity", capacity)

    def added(self, terms: LogTerms) -> Tensor:
        """KL - gamma |mean KL - C|, (B,) nats."""
        kl = self.divergence(terms)
        distance = (mean_over_rows(kl, terms) - self.capacity()).abs()
        return kl - self.gamma * distance * terms.present

    def figures(self) -> dict[str, Tensor]:
        """C as the next step takes it, and the objective of the last one, nats per datum, ()."""
        return {"capacity": self.capacity(), **super().figures()}

    def extra_repr(self) -> str:
        """The settings, as they were given."""
        return f"gamma={self.gamma!r}, capacity={self.capacity}, {super().extra_repr()}"
