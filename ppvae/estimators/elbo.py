"""The evidence lower bound."""

from __future__ import annotations

from torch import Tensor

from ppvae.estimators.base import Estimator, share_of_global
from ppvae.terms import LogTerms

__all__ = ["ELBO"]


class ELBO(Estimator):
    r"""Evidence lower bound, averaged over the K draws.

    .. math:: E_{q(z|x)} [\log p(x, z) - \log q(z|x)]

    The gradient is the reparameterized one; sites marked for enumeration are summed out under
    q(y|x).

    Args:
        num_particles: K, draws from the guide per datum, at least 1.
        analytic_kl: whether KL(q(z|x) || p(z)) is taken in closed form at every site where
            PyTorch or Pyro has one, and sampled elsewhere.

    Raises:
        ValueError: num_particles is below 1.

    Source: Kingma & Welling (2014), arXiv:1312.6114, eqs. 2 and 3 (eq. 3: KL in closed form).
    """

    bound_kind = "lower"

    def __init__(self, num_particles: int = 1, analytic_kl: bool = False) -> None:
        super().__init__(num_particles)
        self.analytic_kl = analytic_kl

    def bound(self, terms: LogTerms) -> Tensor:
        """The bound in nats, (B,)."""
        weight = terms.log_weight_with_kl if self.analytic_kl else terms.log_weight
        return terms.expected(weight).mean(0) + share_of_global(terms)

    def extra_repr(self) -> str:
        """The settings, as they were given."""
        return f"num_particles={self.num_particles}, analytic_kl={self.analytic_kl}"
