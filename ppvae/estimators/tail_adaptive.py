"""A divergence that adapts to the tail of the weights."""

from __future__ import annotations

import torch
from torch import Tensor

from ppvae.estimators.base import Estimator, per_datum, refuse_scored, weights_of_draws
from ppvae.estimators.iwae import target_of_draws
from ppvae.estimators.log_mean import log_mean
from ppvae.estimators.model_part import model_surrogate
from ppvae.terms import LogTerms

__all__ = ["TailAdaptive"]


class TailAdaptive(Estimator):
    r"""Importance-weighted bound of K draws; the guide follows the tail-adaptive f-divergence.

    .. math:: \nabla_\phi = \sum_k \gamma_k \nabla_\phi \log \frac{p(x, z_\phi(\epsilon_k))}
        {q(z_\phi(\epsilon_k)|x)} \Big|_{\text{through } z}, \quad
        \gamma_k \propto 1 / \bar F(w_k), \quad
        \bar F(w) = \frac{1}{K} \#\{j : w_j \ge w\}

    A draw's rank among those of its datum decides how much it counts, so that no weight, however
    large, has more than K times the say of the smallest: mass is covered without infinite variance.
    Equal weights count alike. One draw is the path gradient of the ELBO.

    The divergence itself is not estimated. What is reported, and followed by the model, is the
    importance-weighted bound of the same draws. Labels that are enumerated stand inside the
    weight, and q(y|x) has no gradient.

    Args:
        num_particles: K, draws from the guide per datum, at least 1.

    Raises:
        ValueError: num_particles is below 1; in training, a site is neither reparameterized nor
            enumerated, a draw depends on an enumerated label, or the guide's density cannot be
            evaluated at a given draw.

    Source: Wang, Liu & Liu (2018), arXiv:1810.11943, with the exponent -1 of the tail probability.
    """

    bound_kind = "lower"

    def bound(self, terms: LogTerms) -> Tensor:
        """The importance-weighted bound in nats, (B,)."""
        return per_datum(log_mean(weights_of_draws(self, terms)), terms)

    def surrogate(self, terms: LogTerms) -> Tensor:
        """Each program's own aim, (B,)."""
        refuse_scored(self, terms)
        _refuse_labelled_draws(terms)
        log_weight = weights_of_draws(self, terms)
        path = log_weight - weights_of_draws(self, terms.fixed)
        guided = (_shares(log_weight.detach()) * path).sum(-2)
        return model_surrogate(terms) + per_datum(guided, terms)

    def target(self, role: str) -> str:
        """L_K for the model, a divergence of its own for the guide."""
        return target_of_draws(self.num_particles) if role == "model" else super().target(role)

    def biased_for(self) -> str | None:
        """What the guide follows."""
        return "that of its bound for the model, and of minus an f-divergence for the guide"

    def extra_repr(self) -> str:
        """The settings, as they were given."""
        return f"num_particles={self.num_particles}"


def _refuse_labelled_draws(terms: LogTerms) -> None:
    """The score that is left out is made up for by the path only if p(x, z) is free of q."""
    for name, term in terms.posterior.items():
        if name not in terms.enumerated and term.dim() > 2:
            raise ValueError(
                "TailAdaptive must have draws that do not depend on labels that are enumerated; "
                f"got {name!r}."
            )


def _shares(log_weight: Tensor) -> Tensor:
    """Gamma of each draw, (K, B), with sum 1."""
    across = log_weight.T.contiguous()
    below = torch.searchsorted(across.sort(-1).values, across).T
    shares = 1 / (len(log_weight) - below).to(log_weight.dtype)
    return shares / shares.sum(0)
