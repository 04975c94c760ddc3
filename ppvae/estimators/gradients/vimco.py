"""The score function for K-sample bounds, each draw judged against the others."""

from __future__ import annotations

import torch
from torch import Tensor

from ppvae.estimators.gradient import BoundOfWeights, Gradient
from ppvae.estimators.gradients.score_sites import scored_sites, scores_of_draws
from ppvae.terms import LogTerms

__all__ = ["VIMCO"]


class VIMCO(Gradient):
    r"""Score function whose baseline for each draw is the bound without it.

    .. math:: \nabla F + \sum_k [F - F_{-k}] \nabla_\phi \log q(z_k|x)

    where F is any function of the log-weights and the k-th of them is, in F_{-k}, the mean of the
    others (the geometric mean of the weights). As F_{-k} does not depend on the k-th draw, the
    expectation is that of the bound's gradient. It scores the sites without rsample;
    reparameterized ones keep their path, and labels that are enumerated stay summed.

    Raises:
        ValueError: num_particles is 1, or the bound is an ELBO; in training, a scored site lies
            outside of the data plate, or an auxiliary site depends on one.

    Source: Mnih & Rezende (2016), arXiv:1602.06725, section 2 (the geometric mean).
    """

    def accept(self, estimator: BoundOfWeights) -> None:
        """Refuse one draw, and an ELBO."""
        if estimator.num_particles < 2:
            raise ValueError(
                f"num_particles must be at least 2 for VIMCO; got {estimator.num_particles}."
            )
        if estimator.averages:
            raise ValueError(
                "VIMCO must be given a bound of K weights together; got "
                f"{type(estimator).__name__}, for which it is ScoreFunction(LeaveOneOut())."
            )

    def surrogate(self, estimator: BoundOfWeights, terms: LogTerms) -> Tensor:
        """The bound, (B,), with the gradient above."""
        scored = scored_sites(self, terms)
        log_weight = estimator.weights(terms).detach()
        signal = estimator.of_weights(log_weight).unsqueeze(-2) - without_each(
            estimator, log_weight
        )
        scores = scores_of_draws(estimator, terms, scored)
        return estimator.bound(terms) + estimator.summed(terms, (scores * signal).sum(-2))


def without_each(estimator: BoundOfWeights, log_weight: Tensor) -> Tensor:
    """The bound with each log-weight in turn replaced by the mean of the others, (..., K, B)."""
    draws = log_weight.shape[-2]
    own = torch.eye(draws, dtype=torch.bool, device=log_weight.device).unsqueeze(-1)
    each = log_weight.unsqueeze(-3)
    mean = each.masked_fill(own, 0.0).sum(-2, keepdim=True) / (draws - 1)
    return estimator.of_weights(torch.where(own, mean, each))
