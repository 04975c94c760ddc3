"""The ELBO with a KL that costs nothing below a level."""

from __future__ import annotations

import math

from torch import Tensor

from ppvae.estimators.around_elbo import AroundELBO, mean_over_rows
from ppvae.terms import LogTerms

__all__ = ["FreeBitsELBO"]


class FreeBitsELBO(AroundELBO):
    r"""The ELBO with a KL of no less than lambda at any site is followed, the ELBO reported.

    .. math:: E_{q(z|x)} [\log p(x|z)] -
        \sum_j \max(\lambda, \overline{KL}(q(z_j|x, z_{<j}) || p(z_j|z_{<j})))

    The sum is over the latent sites in the data plate: a subset of Kingma et al. is a site here, a
    layer of codes or a label. KL is the mean over the rows of a batch. A site whose mean KL is
    below lambda has no gradient from its KL, so that it need not collapse. Latent sites outside of
    the data plate have no free nats.

    Args:
        nats: lambda, in nats per datum and site, positive.
        num_particles: K, draws from the guide per datum, at least 1.
        analytic_kl: whether KL(q(z|x) || p(z)) is taken in closed form at every site where
            PyTorch or Pyro has one, and sampled elsewhere; it has less noise.

    Raises:
        ValueError: nats is not positive and finite, or num_particles is below 1.

    Source: Kingma et al. (2016), arXiv:1606.04934, appendix (objective with free bits).
    """

    def __init__(self, nats: float, num_particles: int = 1, analytic_kl: bool = False) -> None:
        super().__init__(num_particles, analytic_kl)
        if not 0 < nats < math.inf:
            raise ValueError(f"nats must be positive and finite; got {nats}.")
        self.nats = float(nats)

    def added(self, terms: LogTerms) -> Tensor:
        """-sum_j max(0, lambda - mean KL_j), (B,) nats.

        Raises:
            ValueError: the model enumerates a label that the guide does not have, so that the
                prior of the other sites is a mixture of all of them.
        """
        missing = [
            (self.nats - mean_over_rows(kl, terms)).clamp(min=0.0)
            for kl in self._divergence_by_site(terms).values()
        ]
        return -sum(missing, terms.present.new_zeros(())) * terms.present

    def extra_repr(self) -> str:
        """The settings, as they were given."""
        return f"nats={self.nats!r}, {super().extra_repr()}"

    def _divergence_by_site(self, terms: LogTerms) -> dict[str, Tensor]:
        alone = [name for name in terms.enumerated if name not in terms.posterior]
        if alone:
            raise ValueError(
                f"FreeBitsELBO needs every label in the guide too; got {alone[0]!r}, which the "
                "model alone enumerates."
            )
        closed = terms.kl if self.elbo.analytic_kl else {}
        by_site = {
            name: closed[name] if name in closed else terms.posterior[name] - terms.prior[name]
            for name in terms.prior
        }
        return {name: terms.expected(kl).mean(0) for name, kl in by_site.items()}
