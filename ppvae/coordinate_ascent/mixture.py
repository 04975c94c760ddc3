"""The Bayesian Gaussian mixture by coordinate ascent, with its ELBO and all constants in it.

    q(y_n = c) = r_nc        q(w) a Dirichlet        q(mu_c, Lambda_c) normal-Wishart

Each factor depends on the others, and has its best given them in closed form.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ppvae.coordinate_ascent.weights import MixtureWeights
from ppvae.distributions import NormalWishart

__all__ = ["MeanFieldMixture"]


class MeanFieldMixture:
    """The factors of q(y) q(w) q(mu, Lambda) and the textbook update of each.

    With a Dirichlet over the weights the model is :class:`ppvae.models.BayesianGaussianMixture`,
    and what is found goes into :class:`ppvae.guides.NormalWishartGuide` by its ``assign``.

    Args:
        x: data, (N, P).
        prior: p(mu_c, Lambda_c), the same for each component, with loc (P,).
        weights: p(w) and q(w): :class:`DirichletWeights` or :class:`StickBreakingWeights`.
        responsibilities: r, where it begins, (N, C), rows of sum 1; q(w) and q(mu, Lambda) begin at
            their best given r.

    Attributes:
        responsibilities: r, (N, C).
        weights: the part that was given, with q(w) in it.
        components: q(mu_c, Lambda_c), with loc (C, P).

    Raises:
        ValueError: an argument breaks these rules.

    Source: Bishop (2006), Pattern recognition and machine learning, section 10.2.
    """

    def __init__(
        self, x: Tensor, prior: NormalWishart, weights: MixtureWeights, responsibilities: Tensor
    ) -> None:
        if x.dim() != 2 or prior.loc.shape != x.shape[1:]:
            raise ValueError(
                "x must be (N, P) with prior's loc (P,); got shapes "
                f"{tuple(x.shape)} and {tuple(prior.loc.shape)}."
            )
        if responsibilities.dim() != 2 or len(responsibilities) != len(x):
            raise ValueError(
                f"responsibilities must be ({len(x)}, C); got {tuple(responsibilities.shape)}."
            )
        off = (responsibilities.sum(1) - 1).abs().max()
        if not bool((responsibilities >= 0).all()) or not off < 1e-6:
            raise ValueError(
                "responsibilities must be at least 0 with rows of sum 1; "
                f"got a row that is {float(off):.3g} off."
            )
        self.x = x
        self.prior = prior.require_proper()
        self.weights = weights
        self.responsibilities = responsibilities.detach().clone().to(x.dtype)
        self.update_weights()
        self.update_components()

    @property
    def factors(self) -> dict[str, Callable[[], None]]:
        """What updates each factor, for :func:`ppvae.coordinate_ascent`."""
        return {
            "labels": self.update_labels,
            "weights": self.update_weights,
            "components": self.update_components,
        }

    def update_labels(self) -> None:
        """Set log r_nc to E[log w_c] + E[log N(x_n; mu_c, Lambda_c^-1)]: eqs. 10.46, 10.49."""
        self.responsibilities = self._expected_log_joint().softmax(1)

    def update_weights(self) -> None:
        """Set q(w) to its best given N_c = sum_n r_nc: eq. 10.58."""
        self.weights.update(self.responsibilities.sum(0))

    def update_components(self) -> None:
        """Set q(mu_c, Lambda_c) to the posterior of rows that are weighed by r: 10.59 to 10.63."""
        centred = self.x - self.prior.loc
        weighed = self.responsibilities.T.unsqueeze(-1) * centred
        self.components = self.prior.posterior(
            self.responsibilities.sum(0), weighed.sum(1), weighed.mT @ centred
        )

    def elbo(self) -> Tensor:
        """The ELBO with all constants, a bound on log p(x), parameters integrated out: 10.70."""
        r = self.responsibilities
        likelihood = (r * self._expected_log_joint() - torch.xlogy(r, r)).sum()
        return likelihood - self.weights.kl() - self.components.kl(self.prior).sum()

    @property
    def covariances(self) -> Tensor:
        """E[Lambda_c]^-1, (C, P, P)."""
        return self.components.inverse_scale / self.components.nu[:, None, None]

    def _expected_log_joint(self) -> Tensor:
        return self.weights.expected_log + self.components.expected_log_density(self.x)
