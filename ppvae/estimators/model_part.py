"""The gradient of the model apart from that of the guide, so that each can follow its own aim.

Both programs are run again at the same draws, the draws detached (``terms.fixed``). There the
model's log-densities have their direct gradient alone; whatever else a surrogate has belongs to the
guide, the path through its draws among it. A parameter that both programs share is told apart too.
"""

from __future__ import annotations

import copy

from torch import Tensor

from ppvae.estimators.gradient import BoundOfWeights, Gradient
from ppvae.estimators.iwae import IWAE
from ppvae.terms import LogTerms

__all__ = ["guide_surrogate", "model_surrogate", "model_terms"]


def model_terms(terms: LogTerms) -> LogTerms:
    """The same terms, where only the model has a gradient, at fixed draws.

    Raises:
        ValueError: the guide's density cannot be evaluated at a given draw.
    """
    alone = copy.copy(terms.fixed)
    alone.posterior = {name: term.detach() for name, term in alone.posterior.items()}
    alone.global_posterior = {n: term.detach() for n, term in alone.global_posterior.items()}
    return alone


def model_surrogate(terms: LogTerms, *, expected: bool = False) -> Tensor:
    r"""What raises the importance-weighted bound L_K in the model alone, (B,).

    .. math:: \nabla_\theta L_K = \sum_k v_k \nabla_\theta \log p_\theta(x, z_k), \quad
        v_k = w_k / \sum_j w_j

    at fixed draws, of any kind: scored sites are served as well. The guide has no gradient.

    Args:
        terms: log-densities at K draws.
        expected: whether enumerated labels are summed outside of the bound, under q(y|x), and not
            inside of the weight.

    Raises:
        ValueError: what the importance-weighted bound refuses, or the guide's density cannot be
            evaluated at a given draw.

    Source: Burda, Grosse & Salakhutdinov (2016), arXiv:1509.00519, eqs. 13 and 14.
    """
    return IWAE(terms.num_particles, expected=expected).bound(model_terms(terms))


def guide_surrogate(gradient: Gradient, estimator: BoundOfWeights, terms: LogTerms) -> Tensor:
    """What raises the estimator's bound in the guide alone, (B,), as the gradient part has it.

    Raises:
        ValueError: what the gradient part refuses, or the guide's density cannot be evaluated at
            a given draw.
    """
    return gradient.surrogate(estimator, terms) - estimator.bound(model_terms(terms))
