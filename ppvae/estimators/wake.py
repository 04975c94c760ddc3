"""Weights of draws as a stand-in for p(z|x), and what a guide learns from draws so weighted."""

from __future__ import annotations

import torch
from torch import Tensor

from ppvae.estimators.base import Estimator, per_datum, weights_of_draws
from ppvae.terms import LogTerms

__all__ = ["normalized_weights", "wake_surrogate"]


def normalized_weights(estimator: Estimator, terms: LogTerms) -> Tensor:
    r"""The weights of draws and labels, one in sum for each datum, (C, ..., K, B).

    .. math:: v_{k, y} = \frac{p(x, y, z_k) / q(z_k|x, y)}
        {\sum_{j, y'} p(x, y', z_j) / q(z_j|x, y')}

    with labels y only where the guide enumerates them. They have no gradient.

    Args:
        estimator: what a refusal names.
        terms: log-densities at K draws.

    Raises:
        ValueError: what a K-sample bound refuses.
    """
    draws = weights_of_draws(estimator, terms).detach().softmax(0)
    drawn = [term for name, term in terms.posterior.items() if name not in terms.enumerated]
    labelled = (terms.log_joint - sum(drawn)).detach()
    # A draw that has no weight has no labels either: -inf - (-inf).
    labels = torch.where(terms.marginal == -torch.inf, 0.0, (labelled - terms.marginal).exp())
    return draws * labels.detach()


def wake_surrogate(estimator: Estimator, terms: LogTerms) -> Tensor:
    r"""What teaches the guide draws of its own by their weights, at fixed draws, (B,).

    .. math:: \sum_{k, y} v_{k, y} \nabla_\phi \log q_\phi(y, z_k|x)

    Args:
        estimator: what a refusal names.
        terms: log-densities at K draws.

    Raises:
        ValueError: what a K-sample bound refuses, or the guide's density cannot be evaluated at a
            given draw.
    """
    weights = normalized_weights(estimator, terms)
    log_guide = terms.fixed.log_posterior
    # What has no weight has no part in the sum, even where its density is zero too.
    weighed = (weights * log_guide.masked_fill(weights == 0, 0.0)).flatten(0, -2).sum(0)
    if not terms.has_global:
        return weighed
    of_all = weights_of_draws(estimator, terms).detach().softmax(0)[:, 0]
    log_guide = torch.stack(list(terms.fixed.global_posterior.values())).sum(0)
    together = (of_all * log_guide).sum()
    return weighed + per_datum(together[None], terms)
