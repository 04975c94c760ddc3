"""Reweighted wake-sleep: the guide learns from weighed draws of its own, or from dreams."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ppvae.dreams import dreamt_terms
from ppvae.estimators.base import Estimator, per_datum, weights_of_draws
from ppvae.estimators.iwae import target_of_draws
from ppvae.estimators.log_mean import log_mean
from ppvae.estimators.model_part import model_surrogate
from ppvae.estimators.wake import wake_surrogate
from ppvae.given import detached_terms
from ppvae.pair import Pair
from ppvae.scope import Program
from ppvae.terms import LogTerms

__all__ = ["ReweightedWakeSleep"]


class ReweightedWakeSleep(Estimator):
    r"""The importance-weighted bound for the model, the inclusive KL for the guide.

    With v_k the weights of K draws, normalized per datum, the model follows

    .. math:: \nabla_\theta L_K = \sum_k v_k \nabla_\theta \log p_\theta(x, z_k)

    and the guide lowers KL(p(z|x) || q(z|x)) by a mixture of two phases,

    .. math:: \text{wake: } \sum_k v_k \nabla_\phi \log q_\phi(z_k|x), \qquad
        \text{sleep: } \nabla_\phi \log q_\phi(z|x), \quad (z, x) \sim p_\theta(z, x)

    Neither needs a path through the draws: it serves scored sites, reparameterized and enumerated
    ones (which are summed inside the weights) alike. Wake is that at the data, biased by an amount
    that falls as 1 / K; sleep is unbiased, at data as the model dreams them, one dream a row.
    What is reported is L_K.

    Doubly reparameterized, wake has the same expectation and less variance near the optimum:

    .. math:: \sum_k (v_k - v_k^2) \frac{\partial \log w_k}{\partial z_k} \nabla_\phi z_k

    Args:
        num_particles: K, draws from the guide per datum, at least 1.
        insomnia: the share of wake in the guide's gradient, in [0, 1]; 0 is wake-sleep.
        doubly_reparameterized: whether wake goes through the draws, all of which must then be
            reparameterized.

    Raises:
        ValueError: num_particles is below 1, insomnia lies outside [0, 1], or wake is to be doubly
            reparameterized where it has no share. In training: a site that is not reparameterized
            where it must be; or, for sleep, a model whose data cannot be drawn.

    Source: Bornschein & Bengio (2015), arXiv:1406.2751; Le et al. (2019), arXiv:1805.10469;
    Tucker et al. (2019), arXiv:1810.04152, on doubly reparameterized wake.
    """

    bound_kind = "lower"

    def __init__(
        self,
        num_particles: int = 1,
        insomnia: float = 1.0,
        *,
        doubly_reparameterized: bool = False,
    ) -> None:
        super().__init__(num_particles)
        if not 0 <= insomnia <= 1:
            raise ValueError(f"insomnia must be between 0 and 1; got {insomnia}.")
        if doubly_reparameterized and insomnia == 0:
            raise ValueError(
                "doubly_reparameterized must go with an insomnia above 0, a share of wake; got 0."
            )
        self.insomnia = float(insomnia)
        self.doubly_reparameterized = doubly_reparameterized

    def terms(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> LogTerms:
        """The log-terms of K draws, detached where no gradient goes through them."""
        if self.doubly_reparameterized:
            return super().terms(model, guide, *args, **kwargs)
        return detached_terms(Pair(model, guide), (args, kwargs), self.num_particles)

    def bound(self, terms: LogTerms) -> Tensor:
        """L_K in nats, (B,)."""
        return per_datum(log_mean(weights_of_draws(self, terms)), terms)

    def target(self, role: str) -> str:
        """L_K for the model, the inclusive KL for a guide that wakes all the time."""
        if role == "model":
            return target_of_draws(self.num_particles)
        return "inclusive KL" if self.insomnia == 1 else super().target(role)

    def biased_for(self) -> str | None:
        """What each of the two follows."""
        wake, sleep = "at the data, up to a bias of order 1 / K", "at data drawn from the model"
        where = {1.0: wake, 0.0: sleep}.get(
            self.insomnia, f"{self.insomnia:g} of it {wake}, {1 - self.insomnia:g} of it {sleep}"
        )
        return (
            "that of its bound for the model, and for the guide that of minus "
            f"KL(p(z|x) || q(z|x)) {where}"
        )

    def surrogate(self, terms: LogTerms) -> Tensor:
        """What is differentiated, (B,)."""
        # First of all, as it refuses what no K-sample bound is known for.
        weights_of_draws(self, terms)
        total = model_surrogate(terms)
        if self.insomnia > 0:
            wake = self._path if self.doubly_reparameterized else self._wake
            total = total + self.insomnia * wake(terms)
        if self.insomnia < 1:
            total = total + (1 - self.insomnia) * self._sleep(terms)
        return total

    def _wake(self, terms: LogTerms) -> Tensor:
        return wake_surrogate(self, terms)

    def _path(self, terms: LogTerms) -> Tensor:
        enumerated = [name for name in terms.enumerated if name in terms.posterior]
        for kind, names in (("scored", terms.scored), ("enumerated", enumerated)):
            if names:
                raise ValueError(
                    "ReweightedWakeSleep(doubly_reparameterized=True) must have reparameterized "
                    f"sites alone; got {names[0]!r}, which is {kind}."
                )
        log_weight = weights_of_draws(self, terms)
        weights = log_weight.detach().softmax(0)
        path = log_weight - weights_of_draws(self, terms.fixed)
        return per_datum(((weights - weights.square()) * path).sum(0), terms)

    def _sleep(self, terms: LogTerms) -> Tensor:
        dreamt = dreamt_terms(terms.pair, terms.batch)
        of_rows = dreamt.log_posterior[0]
        if not dreamt.has_global:
            return of_rows
        of_all = torch.stack(list(dreamt.global_posterior.values())).sum(0)
        return of_rows + per_datum(of_all, terms)

    def extra_repr(self) -> str:
        """The settings, as they were given."""
        doubly = ", doubly_reparameterized=True" if self.doubly_reparameterized else ""
        return f"num_particles={self.num_particles}, insomnia={self.insomnia:g}{doubly}"
