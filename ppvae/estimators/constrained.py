"""The ELBO with one of its parts kept at a level by a multiplier that learns."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ppvae.estimators.around_elbo import AroundELBO, mean_over_rows
from ppvae.terms import LogTerms

__all__ = ["ConstrainedELBO"]


class ConstrainedELBO(AroundELBO):
    r"""One part of the ELBO is kept at a level while the other is raised; the ELBO is reported.

    .. math:: E_q [\log p(x|z)] - \lambda (KL(q || p) - \mathrm{level})
        \quad\mathrm{or}\quad
        \lambda (E_q [\log p(x|z)] - \mathrm{level}) - KL(q || p)

    The multiplier rises while the part is on the wrong side of its level, and falls otherwise.
    With C its distance to the right side, averaged over the rows of a batch, a training step does

    .. math:: \bar C_t = \alpha \bar C_{t-1} + (1 - \alpha) C_t, \quad
        \lambda_t = \lambda_{t-1} \exp(\nu \bar C_t)

    from lambda = 1, the ELBO. A level that the pair cannot reach drives lambda to 0 or without
    bound; the figures show it. With a slow average or a fast rate the part swings about its level.

    Args:
        kl: the level of KL(q(z|x) || p(z)), positive, in nats per datum.
        reconstruction: instead of it, the level of E_q[log p(x|z)], in nats per datum.
        rate: nu, how fast the multiplier learns, per nat and step, positive.
        decay: alpha, how much of the moving average is kept in a step, in [0, 1).
        num_particles: K, draws from the guide per datum, at least 1.
        analytic_kl: whether KL(q(z|x) || p(z)) is taken in closed form at every site where
            PyTorch or Pyro has one, and sampled elsewhere; it has less noise.

    Raises:
        ValueError: not one level is given, or a number is out of range.

    Source: Rezende & Viola (2018), arXiv:1810.00597, algorithm 1 (GECO).
    """

    log_multiplier: Tensor
    average: Tensor

    def __init__(
        self,
        *,
        kl: float | None = None,
        reconstruction: float | None = None,
        rate: float = 3e-3,
        decay: float = 0.9,
        num_particles: int = 1,
        analytic_kl: bool = False,
    ) -> None:
        super().__init__(num_particles, analytic_kl)
        if (kl is None) == (reconstruction is None):
            raise ValueError(
                "either kl or reconstruction must be given; "
                f"got kl={kl}, reconstruction={reconstruction}."
            )
        if kl is not None and not 0 < kl < math.inf:
            raise ValueError(f"kl must be positive and finite; got {kl}.")
        if reconstruction is not None and not math.isfinite(reconstruction):
            raise ValueError(f"reconstruction must be finite; got {reconstruction}.")
        if not 0 < rate < math.inf:
            raise ValueError(f"rate must be positive and finite; got {rate}.")
        if not 0 <= decay < 1:
            raise ValueError(f"decay must be at least 0 and below 1; got {decay}.")
        self.kl, self.reconstruction = kl, reconstruction
        self.rate, self.decay = float(rate), float(decay)
        self.register_buffer("log_multiplier", torch.zeros((), dtype=torch.float64))
        self.register_buffer("average", torch.tensor(math.nan, dtype=torch.float64))

    @property
    def multiplier(self) -> Tensor:
        """Lambda, ()."""
        return self.log_multiplier.exp()

    def added(self, terms: LogTerms) -> Tensor:
        """The part less lambda times its excess over the level, (B,) nats."""
        part, excess = self._parts(terms)
        return part - self.multiplier * excess * terms.present

    def observe(self, terms: LogTerms) -> None:
        """Let the multiplier learn from a training step."""
        super().observe(terms)
        _, excess = self._parts(terms)
        now = mean_over_rows(excess, terms).to(self.average)
        smoothed = self.decay * self.average + (1.0 - self.decay) * now
        # The first step has no average yet.
        self.average.copy_(torch.where(self.average.isnan(), now, smoothed))
        self.log_multiplier += self.rate * self.average

    def figures(self) -> dict[str, Tensor]:
        """The multiplier, the moving average of the excess, and the objective, each ()."""
        own = {"multiplier": self.multiplier, "excess": self.average}
        return {**own, **super().figures()}

    def extra_repr(self) -> str:
        """The settings, as they were given."""
        kept, level = ("kl", self.kl) if self.kl else ("reconstruction", self.reconstruction)
        speed = f"rate={self.rate!r}, decay={self.decay!r}"
        return f"{kept}={level!r}, {speed}, {super().extra_repr()}"

    def _parts(self, terms: LogTerms) -> tuple[Tensor, Tensor]:
        """What the ELBO has of the kept part as a cost, and how far that is too much, (B,) nats."""
        kl = self.divergence(terms)
        if self.kl is not None:
            return kl, kl - self.kl
        error = -(self.bound(terms) + kl)
        return error, error + (self.reconstruction or 0.0)
