"""One importance-weighted bound for the model, the mean of several for the guide."""

from __future__ import annotations

from torch import Tensor

from ppvae.estimators.base import Estimator
from ppvae.estimators.gradient import Gradient
from ppvae.estimators.iwae import target_of_draws
from ppvae.estimators.means import PowerMean
from ppvae.estimators.miwae import MIWAE
from ppvae.estimators.model_part import guide_surrogate, model_surrogate
from ppvae.estimators.of_means import OfMeans
from ppvae.terms import LogTerms

__all__ = ["PIWAE"]


class PIWAE(OfMeans):
    r"""Importance-weighted bound of M K draws; the guide follows that of K draws, averaged.

    .. math:: \log \frac{1}{M K} \sum_{m, k} w_{mk}, \quad w_{mk} = p(x, z_{mk}) / q(z_{mk}|x)

    is reported, and followed by the model; the guide follows :class:`MIWAE` of the same draws,
    where more of its signal is left. What a parameter does through the draws or in q is the
    guide's, what it does in p at fixed draws the model's, also where both programs share it.

    Args:
        num_groups: M, at least 1.
        group_size: K, draws from the guide per datum and group, at least 1. All draws together,
            M K, are ``num_particles``.
        gradient: how the guide's gradient is estimated; through reparameterized draws unless given.
        expected: whether enumerated labels are summed outside of the bound, under q(y|x).

    Raises:
        ValueError: num_groups or group_size is below 1; in training, the guide's density cannot be
            evaluated at a given draw.
        TypeError: gradient is no Gradient.

    Source: Rainforth et al. (2018), arXiv:1802.04537, section 5.
    """

    bound_kind = "lower"

    def __init__(
        self,
        num_groups: int,
        group_size: int,
        *,
        gradient: Gradient | None = None,
        expected: bool = False,
    ) -> None:
        groups = MIWAE(num_groups, group_size, expected=expected)
        super().__init__(PowerMean(1.0), groups.num_particles, gradient=gradient, expected=expected)
        self.groups = groups
        self.gradient.accept(groups)

    def target(self, role: str) -> str:
        """L_K of one group for the guide, of all draws together for the model."""
        draws = self.num_particles if role == "model" else self.groups.group_size
        return target_of_draws(draws, self.expected)

    def biased_for(self) -> str | None:
        """What the guide follows."""
        followed = self.gradient.biased_for(self.groups) or "that of MIWAE"
        return f"that of its bound for the model, and for the guide {followed}"

    def surrogate(self, terms: LogTerms) -> Tensor:
        """Each program's own aim, (B,)."""
        guided = guide_surrogate(self.gradient, self.groups, terms)
        return guided + model_surrogate(terms, expected=self.expected)

    def observe(self, terms: LogTerms) -> None:
        """Let the guide's gradient part learn from the bound that it follows."""
        Estimator.observe(self, terms)
        self.gradient.observe(self.groups, terms)

    def extra_repr(self) -> str:
        """The settings, as they were given."""
        return f"{self.groups.num_groups}, {self.groups.group_size}, {super().extra_repr()}"
