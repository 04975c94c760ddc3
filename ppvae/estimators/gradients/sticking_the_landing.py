"""The gradient through the draws alone, whose noise is gone where the guide is exact."""

from __future__ import annotations

import torch
from torch import Tensor

from ppvae.estimators.gradient import BoundOfWeights, Gradient
from ppvae.estimators.gradients.direct import at_fixed_draws, refuse_other_paths
from ppvae.terms import LogTerms

__all__ = ["StickingTheLanding"]


class StickingTheLanding(Gradient):
    r"""Path-derivative gradient: log q(z|x) has a gradient through z, and no direct one.

    .. math:: \nabla_\phi F \to \sum_k c_k \frac{\partial \log w_k}{\partial z_k} \nabla_\phi z_k,
        \quad c_k = \partial F / \partial \log w_k

    The score that is left out has expectation zero under the ELBO, whose gradient this is; at the
    exact posterior every draw gives zero. Under a bound that is not linear in the log-weights it
    has not: there this is another gradient, under the importance-weighted bound one that tends to
    that of minus the inclusive KL(p(z|x) || q(z|x)) as K grows. :meth:`biased_for` says which.
    The model's gradient is that of the bound.

    Raises:
        ValueError: in training, a site is neither reparameterized nor enumerated, a draw depends on
            a label inside of the weight, or the guide's density cannot be evaluated at a given
            draw.

    Source: Roeder, Wu & Duvenaud (2017), arXiv:1703.09194; on K > 1, Tucker et al. (2019),
    arXiv:1810.04152.
    """

    def surrogate(self, estimator: BoundOfWeights, terms: LogTerms) -> Tensor:
        """The bound where q has a gradient through its draws alone, (B,)."""
        refuse_other_paths(self, estimator, terms)
        at_fixed_draws(self, terms)
        return estimator.bound(terms.sticking)

    def biased_for(self, estimator: BoundOfWeights) -> str | None:
        """None where the bound is linear in the log-weights, as the ELBO is."""
        spread = torch.linspace(-1.0, 1.0, estimator.num_particles).unsqueeze(-1)
        if not estimator.curvatures(spread).any():
            return None
        return (
            "the bound's gradient plus E[sum_k c_k grad log q(z_k|x)], c_k = dF / dlog w_k: "
            "for IWAE it tends to that of minus KL(p(z|x) || q(z|x)) as K grows"
        )
