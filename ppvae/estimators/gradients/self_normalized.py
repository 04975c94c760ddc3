"""The gradient of what a bound tends to with more draws, estimated at fixed draws."""

from __future__ import annotations

import copy

from torch import Tensor

from ppvae.estimators.gradient import BoundOfWeights, Gradient
from ppvae.estimators.gradients.direct import at_fixed_draws, change
from ppvae.estimators.gradients.score_sites import scores_of_draws
from ppvae.estimators.of_means import OfMeans
from ppvae.terms import LogTerms

__all__ = ["SelfNormalized"]


class SelfNormalized(Gradient):
    r"""The gradient of the bound's limit for many draws; the draws need no reparameterization.

    Where q changes to q', a draw counts q'(z) / q(z)-fold, and means over draws change with it:

    .. math:: \nabla E_\pi [f] \approx \sum_k v_k \nabla f(z_k)
        + \sum_k v_k (f(z_k) - \bar f) \nabla \log \tilde \pi(z_k), \quad
        v_k \propto \tilde \pi(z_k) / q(z_k|x), \quad \bar f = \sum_k v_k f(z_k)

    for one, at fixed draws of any kind. What comes out for equal weights has the mean zero and is
    subtracted, so that at the exact posterior no noise is left in the guide's gradient (labels that
    are enumerated leave some). What remains of it is a covariance of K draws about their own mean,
    and is scaled by K / (K - 1). The weights are normalized by their own sum: a bias of order
    1 / K, which an ELBO has not.

    Raises:
        TypeError: the bound is not built of means over the draws.
        ValueError: num_particles is 1; in training, the guide's density cannot be evaluated at a
            given draw.

    Source: Masrani, Le & Wood (2019), arXiv:1907.00031, the covariance gradient estimator.
    """

    def accept(self, estimator: BoundOfWeights) -> None:
        """Refuse one draw, and a bound that is not built of means."""
        name = type(_of_means(estimator)).__name__
        if estimator.num_particles < 2:
            raise ValueError(
                f"num_particles must be at least 2 for {name} with SelfNormalized; "
                f"got {estimator.num_particles}."
            )

    def biased_for(self, estimator: BoundOfWeights) -> str | None:
        """The limit's gradient."""
        return "that of the bound's limit for many draws, up to a bias of order 1 / K"

    def surrogate(self, estimator: BoundOfWeights, terms: LogTerms) -> Tensor:
        """What is differentiated, (B,); its value does not matter."""
        bound = _of_means(estimator)
        fixed = _with_scores(at_fixed_draws(self, terms), bound.num_particles)
        log_weight = bound.weights(fixed)
        log_count = _log_count(bound, fixed).expand_as(log_weight)
        of_equals = bound.means(-log_count, log_count)
        return bound.summed(fixed, bound.means(log_weight, log_count) - of_equals)


def _of_means(estimator: BoundOfWeights) -> OfMeans:
    if not isinstance(estimator, OfMeans):
        raise TypeError(
            f"SelfNormalized must be given a bound built of means; got {type(estimator).__name__}."
        )
    return estimator


def _with_scores(fixed: LogTerms, draws: int) -> LogTerms:
    """The same terms, the scores of all that was drawn multiplied by K / (K - 1)."""
    scaled = copy.copy(fixed)
    scaled.posterior = {
        name: term if name in fixed.enumerated else term + change(term) / (draws - 1)
        for name, term in fixed.posterior.items()
    }
    scaled.global_posterior = {
        name: term + change(term) / (draws - 1) for name, term in fixed.global_posterior.items()
    }
    return scaled


def _log_count(estimator: OfMeans, fixed: LogTerms) -> Tensor:
    """The change of log q of all that was drawn, (K, B), or (K, 1), or (C, ..., K, B) by label."""
    drawn = [name for name in fixed.posterior if name not in fixed.enumerated]
    zero = fixed.log_posterior.new_zeros(fixed.num_particles, fixed.batch_size)
    local = zero + scores_of_draws(estimator, fixed, drawn)
    if not fixed.has_global:
        return local
    together = [change(term) for term in fixed.global_posterior.values()]
    return sum(together, local.sum(-1)).unsqueeze(-1)
