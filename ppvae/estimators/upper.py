"""What estimates of an upper bound have in common: the guide lowers them, the model does not."""

from __future__ import annotations

from torch import Tensor

from ppvae.estimators.gradients.self_normalized import SelfNormalized
from ppvae.estimators.iwae import target_of_draws
from ppvae.estimators.means import Means
from ppvae.estimators.model_part import guide_surrogate, model_surrogate
from ppvae.estimators.of_means import OfMeans
from ppvae.terms import LogTerms

__all__ = ["UpperEstimate"]


class UpperEstimate(OfMeans):
    """An estimate from K draws of an upper bound on log p(x).

    What bounds log p(x) from above is the limit for many draws. The estimate lies on no certain
    side: its expectation may be below log p(x) where K is small.

    A guide that lowered the expected estimate itself, through reparameterized draws, would shrink
    to a point: K draws at one place have equal weights, near 0, and the estimate falls without
    limit. So the guide lowers the limit, by :class:`SelfNormalized`; it needs no
    reparameterization. The model, which must not be driven to a lower log p(x), raises the
    importance-weighted bound of the same draws.

    Labels that are enumerated stand inside the weight, and q(y|x) has no gradient: outside of it,
    under q(y|x), no upper bound would be left.

    Args:
        means: the function of the weights.
        num_particles: K, draws from the guide per datum, at least 2.

    Raises:
        ValueError: num_particles is below 2; in training, the guide's density cannot be evaluated
            at a given draw.
    """

    bound_kind = "upper"

    def __init__(self, means: Means, num_particles: int) -> None:
        if num_particles < 2:
            raise ValueError(f"num_particles must be at least 2; got {num_particles}.")
        super().__init__(means, num_particles, gradient=SelfNormalized())

    def surrogate(self, terms: LogTerms) -> Tensor:
        """Each program's own aim, (B,)."""
        return model_surrogate(terms) - guide_surrogate(self.gradient, self, terms)

    def target(self, role: str) -> str:
        """L_K for the model, a bound of its own for the guide."""
        return target_of_draws(self.num_particles) if role == "model" else super().target(role)

    def biased_for(self) -> str | None:
        """What each of the two follows."""
        return (
            "that of the importance-weighted bound for the model, and for the guide minus that of "
            "the limit for many draws, up to a bias of order 1 / K"
        )
