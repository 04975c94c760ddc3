"""The ELBO with a weight on its KL: beta-VAE, and KL warm-up."""

from __future__ import annotations

from torch import Tensor

from ppvae.estimators.around_elbo import AroundELBO
from ppvae.schedules import Schedule, scheduled
from ppvae.terms import LogTerms

__all__ = ["BetaELBO"]


class BetaELBO(AroundELBO):
    r"""The ELBO with beta times its KL is followed, the ELBO reported.

    .. math:: E_{q(z|x)} [\log p(x|z)] - \beta KL(q(z|x) || p(z))

    beta = 1 is the ELBO, beta = 0 an autoencoder with noise on its code, beta > 1 gives up codes
    that tell too little of x. KL warm-up raises beta while training:
    ``BetaELBO(Schedule(0.0, 1.0, fraction=0.3))``.

    Args:
        beta: a number, or a schedule of numbers, at least 0.
        num_particles: K, draws from the guide per datum, at least 1.
        analytic_kl: whether KL(q(z|x) || p(z)) is taken in closed form at every site where
            PyTorch or Pyro has one, and sampled elsewhere; it has less noise.

    Raises:
        ValueError: beta is below 0 or not finite, or num_particles is below 1.
        TypeError: beta is no number and no schedule.

    Source: Higgins et al. (2017), "beta-VAE: Learning Basic Visual Concepts with a Constrained
    Variational Framework", eq. 4.
    """

    def __init__(
        self, beta: float | Schedule, num_particles: int = 1, analytic_kl: bool = False
    ) -> None:
        super().__init__(num_particles, analytic_kl)
        self.beta = scheduled("beta", beta)

    def added(self, terms: LogTerms) -> Tensor:
        """(1 - beta) KL, (B,) nats."""
        return (1.0 - self.beta()) * self.divergence(terms)

    def figures(self) -> dict[str, Tensor]:
        """Beta as the next step takes it, and the objective of the last one, each ()."""
        return {"beta": self.beta(), **super().figures()}

    def extra_repr(self) -> str:
        """The settings, as they were given."""
        return f"beta={self.beta}, {super().extra_repr()}"
