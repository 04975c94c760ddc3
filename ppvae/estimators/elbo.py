"""The evidence lower bound."""

from __future__ import annotations

import torch
from torch import Tensor

from ppvae.estimators.base import share_of_global
from ppvae.estimators.gradient import Gradient
from ppvae.estimators.of_weights import OfWeights
from ppvae.terms import LogTerms

__all__ = ["ELBO"]


class ELBO(OfWeights):
    r"""Evidence lower bound, averaged over the K draws.

    .. math:: E_{q(z|x)} [\log p(x, z) - \log q(z|x)]

    Sites marked for enumeration are summed out under q(y|x).

    Args:
        num_particles: K, draws from the guide per datum, at least 1.
        analytic_kl: whether KL(q(z|x) || p(z)) is taken in closed form at every site where
            PyTorch or Pyro has one, and sampled elsewhere.
        gradient: how the gradient is estimated; through reparameterized draws unless given.

    Raises:
        ValueError: num_particles is below 1.
        TypeError: gradient is no Gradient.

    Source: Kingma & Welling (2014), arXiv:1312.6114, eqs. 2 and 3 (eq. 3: KL in closed form).
    """

    bound_kind = "lower"
    averages = True

    def __init__(
        self,
        num_particles: int = 1,
        analytic_kl: bool = False,
        *,
        gradient: Gradient | None = None,
    ) -> None:
        super().__init__(num_particles, gradient=gradient, expected=True)
        self.analytic_kl = analytic_kl

    def of_weights(self, log_weight: Tensor) -> Tensor:
        """The mean log-weight: (..., K, B) to (..., B)."""
        return log_weight.mean(-2)

    def bound(self, terms: LogTerms) -> Tensor:
        """The bound in nats, (B,)."""
        # Labels before draws: q(y|x, z) may be another one at each draw.
        return terms.expected(self.weights(terms)).mean(0) + share_of_global(terms)

    def weights(self, terms: LogTerms) -> Tensor:
        """What is averaged under q, (C, ..., K, B)."""
        return terms.log_weight_with_kl if self.analytic_kl else terms.log_weight

    def addends(self, terms: LogTerms) -> dict[tuple[str, str], Tensor]:
        """What is averaged under q, by kind and site, (C, ..., K, B) nats each."""
        closed = terms.kl if self.analytic_kl else {}
        left = {n: -term for n, term in terms.posterior.items() if n not in closed}
        parts = {("posterior", name): term for name, term in left.items()}
        parts |= {("kl", name): -term for name, term in closed.items()}
        if not set(terms.enumerated) <= set(terms.posterior):
            # Labels that the model alone has are summed out of all its sites together.
            return parts | {("joint", ""): self.weights(terms) - sum(parts.values())}
        parts |= {("likelihood", name): term for name, term in terms.likelihood.items()}
        prior = {n: term for n, term in terms.prior.items() if n not in closed}
        return parts | {("prior", name): term for name, term in prior.items()}

    def slopes(self, log_weight: Tensor) -> Tensor:
        """1 / K, (..., K, B)."""
        return torch.full_like(log_weight, 1.0 / log_weight.shape[-2])

    def curvatures(self, log_weight: Tensor) -> Tensor:
        """Zero, (..., K, B)."""
        return torch.zeros_like(log_weight)

    def target(self, role: str) -> str:
        """The ELBO, whatever K."""
        return "ELBO"

    def extra_repr(self) -> str:
        """The settings, as they were given."""
        return f"num_particles={self.num_particles}, analytic_kl={self.analytic_kl}"
