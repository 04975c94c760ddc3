"""Objectives around the ELBO: one of them is followed, the ELBO itself is reported."""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import Tensor

from ppvae.estimators.base import Estimator, refuse_scored, share_of_global
from ppvae.estimators.elbo import ELBO
from ppvae.terms import LogTerms

__all__ = ["AroundELBO", "mean_over_rows"]


class AroundELBO(Estimator):
    r"""An objective that weighs the two parts of the ELBO in its own way.

    .. math:: \mathrm{ELBO} = E_{q(z|x)} [\log p(x|z)] - KL(q(z|x) || p(z))

    The bound is the ELBO, whatever is followed. One's own gives ``added``. KL is that of all
    latent sites, enumerated ones and the share of those outside of the data plate among them.

    Args:
        num_particles: K, draws from the guide per datum, at least 1.
        analytic_kl: whether KL(q(z|x) || p(z)) is taken in closed form at every site where
            PyTorch or Pyro has one, and sampled elsewhere; it has less noise.

    Raises:
        ValueError: num_particles is below 1.
    """

    bound_kind = "lower"
    followed: Tensor

    def __init__(self, num_particles: int = 1, analytic_kl: bool = False) -> None:
        super().__init__(num_particles)
        self.elbo = ELBO(num_particles, analytic_kl)
        self.register_buffer("followed", torch.tensor(math.nan, dtype=torch.float64))

    @abstractmethod
    def added(self, terms: LogTerms) -> Tensor:
        """The objective less the ELBO, (B,) nats."""

    def objective(self, terms: LogTerms) -> Tensor:
        """What is followed, (B,) nats."""
        return self.bound(terms) + self.added(terms)

    def bound(self, terms: LogTerms) -> Tensor:
        """The ELBO in nats, (B,)."""
        return self.elbo.bound(terms)

    def surrogate(self, terms: LogTerms) -> Tensor:
        """What is differentiated, (B,): the objective."""
        refuse_scored(self, terms)
        return self.objective(terms)

    def observe(self, terms: LogTerms) -> None:
        """Note the objective of a training step, and let schedules go on by one."""
        self.followed.copy_(self.objective(terms).mean())
        super().observe(terms)

    def figures(self) -> dict[str, Tensor]:
        """The objective of the last training batch in nats per datum, ()."""
        return {"objective": self.followed}

    def biased_for(self) -> str | None:
        """What is followed instead of the bound."""
        return "that of its objective"

    def divergence(self, terms: LogTerms) -> Tensor:
        """KL(q(z|x) || p(z)), (B,) nats, with the share of sites outside of the data plate."""
        ratio = terms.log_ratio_with_kl if self.elbo.analytic_kl else terms.log_ratio
        return terms.expected(ratio).mean(0) - share_of_global(terms)

    def extra_repr(self) -> str:
        """The settings that all of these have."""
        return self.elbo.extra_repr()

    def __repr__(self) -> str:
        # In one line, as a run's settings and tables name it.
        return f"{type(self).__name__}({self.extra_repr()})"


def mean_over_rows(values: Tensor, terms: LogTerms) -> Tensor:
    """The mean of values per datum, (B,), over the rows that no mask leaves out, ()."""
    # A batch without such a row has nothing to be averaged, and no gradient.
    return (values * terms.present).sum() / terms.present.sum().clamp(min=1.0)
