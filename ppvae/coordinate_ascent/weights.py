"""q(w) over the weights of a mixture: a Dirichlet, or sticks broken one after the other."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.distributions import Beta, Dirichlet, kl_divergence

__all__ = ["DirichletWeights", "MixtureWeights", "StickBreakingWeights"]


class MixtureWeights(ABC):
    """A prior over the weights of a mixture, and the factor q(w) of the same family.

    Args:
        concentration: of the prior, positive; far below 1 it leaves needless components empty.

    Raises:
        ValueError: concentration is not positive and finite.
    """

    def __init__(self, concentration: float) -> None:
        if not 0 < concentration < float("inf"):
            raise ValueError(f"concentration must be positive and finite; got {concentration}.")
        self.concentration = concentration

    @abstractmethod
    def update(self, counts: Tensor) -> None:
        """Set q(w) to its best, given how many rows each component has, (C,)."""

    @property
    @abstractmethod
    def expected_log(self) -> Tensor:
        """E[log w_c], (C,)."""

    @property
    @abstractmethod
    def mean(self) -> Tensor:
        """E[w_c], (C,)."""

    @abstractmethod
    def kl(self) -> Tensor:
        """KL(q(w) || p(w)), in nats, ()."""


class DirichletWeights(MixtureWeights):
    """p(w) = Dirichlet(alpha_0, ..., alpha_0), q(w) = Dirichlet(alpha_1, ..., alpha_C).

    Args:
        concentration: alpha_0, positive.

    Attributes:
        alpha: of q(w), (C,).

    Raises:
        ValueError: concentration is not positive and finite.

    Source: Bishop (2006), Pattern recognition and machine learning, eqs. 10.39, 10.57, 10.58 and
    10.66.
    """

    alpha: Tensor

    def update(self, counts: Tensor) -> None:
        """Set alpha_c to alpha_0 + N_c."""
        self.alpha = self.concentration + counts

    @property
    def expected_log(self) -> Tensor:
        """E[log w_c], (C,)."""
        return self.alpha.digamma() - self.alpha.sum().digamma()

    @property
    def mean(self) -> Tensor:
        """E[w_c], (C,)."""
        return self.alpha / self.alpha.sum()

    def kl(self) -> Tensor:
        """KL(q(w) || p(w)), in nats, ()."""
        prior = Dirichlet(torch.full_like(self.alpha, self.concentration))
        return kl_divergence(Dirichlet(self.alpha), prior)


class StickBreakingWeights(MixtureWeights):
    """w_c = v_c prod_{j < c} (1 - v_j): the Dirichlet process, of which C components are looked at.

    p(v_c) = Beta(1, gamma), q(v_c) = Beta(a_c, b_c). What is left of the stick belongs to
    components beyond C, to which q(y) gives no row: the ELBO is one of the endless mixture.

    Args:
        concentration: gamma, positive.

    Attributes:
        sticks: a and b of q(v), (C, 2).

    Raises:
        ValueError: concentration is not positive and finite.

    Source: Blei & Jordan (2006), Variational inference for Dirichlet process mixtures, Bayesian
    Analysis 1; as in scikit-learn, and not there, the last of the C sticks is broken too.
    """

    sticks: Tensor

    def update(self, counts: Tensor) -> None:
        """Set a_c to 1 + N_c and b_c to gamma + sum_{j > c} N_j."""
        later = counts.flip(0).cumsum(0).flip(0) - counts
        self.sticks = torch.stack([1 + counts, self.concentration + later], -1)

    @property
    def expected_log(self) -> Tensor:
        """E[log w_c], (C,)."""
        taken, left = (self.sticks.digamma() - self.sticks.sum(-1, keepdim=True).digamma()).unbind(
            -1
        )
        return taken + left.cumsum(0) - left

    @property
    def mean(self) -> Tensor:
        """E[w_c], (C,); their sum is below 1 by what is left of the stick."""
        taken, left = (self.sticks / self.sticks.sum(-1, keepdim=True)).unbind(-1)
        return taken * left.cumprod(0) / left

    def kl(self) -> Tensor:
        """KL(q(v) || p(v)), in nats, ()."""
        prior = Beta(
            torch.ones(()).to(self.sticks), torch.full((), self.concentration).to(self.sticks)
        )
        return kl_divergence(Beta(self.sticks[:, 0], self.sticks[:, 1]), prior).sum()
