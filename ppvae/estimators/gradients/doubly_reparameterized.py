"""The score inside of a bound's gradient reparameterized once more."""

from __future__ import annotations

from torch import Tensor

from ppvae.estimators.gradient import BoundOfWeights, Gradient
from ppvae.estimators.gradients.direct import at_fixed_draws, change, refuse_other_paths
from ppvae.terms import LogTerms

__all__ = ["DoublyReparameterized"]


class DoublyReparameterized(Gradient):
    r"""Doubly reparameterized gradient of any smooth function F of the log-weights.

    .. math::
        \nabla_\theta &: \sum_k c_k \nabla_\theta \log p_\theta(x, z_k), \qquad
        \nabla_\phi : \sum_k (c_k - h_k) \frac{\partial \log w_k}{\partial z_k} \nabla_\phi z_k, \\
        c_k &= \partial F / \partial \log w_k, \qquad h_k = \partial^2 F / \partial (\log w_k)^2

    It has the expectation of the reparameterized gradient: for each k, with the other draws held,

    1. the direct part of the guide's gradient is -c_k grad log q(z_k|x) at fixed z_k;
    2. the score weighed by a function of its draw has the expectation of that function's path,
       E[c_k grad log q(z_k|x)] = E[(dc_k / dz_k) grad z_k];
    3. c_k depends on z_k through log w_k alone, so that dc_k / dz_k = h_k dlog w_k / dz_k.

    Under the importance-weighted bound c - h is v^2, v the normalized weights: the guide's
    signal-to-noise ratio then grows with K instead of falling. At the exact posterior it is zero on
    every draw. With ``expected`` all of this holds label by label.

    Raises:
        ValueError: the bound is an ELBO; in training, a site is neither reparameterized nor
            enumerated, a draw depends on a label inside of the weight, or the guide's density
            cannot be evaluated at a given draw.

    Source: Tucker, Lawson, Gu & Maddison (2019), arXiv:1810.04152.
    """

    def accept(self, estimator: BoundOfWeights) -> None:
        """Refuse an ELBO, for which h is zero."""
        if estimator.averages:
            raise ValueError(
                "DoublyReparameterized must be given a bound of K weights together; got "
                f"{type(estimator).__name__}, for which it is StickingTheLanding."
            )

    def surrogate(self, estimator: BoundOfWeights, terms: LogTerms) -> Tensor:
        """The bound's value, (B,), with the gradients above."""
        refuse_other_paths(self, estimator, terms)
        log_weight = estimator.weights(terms)
        path = change(log_weight - estimator.weights(at_fixed_draws(self, terms)))
        # Direct gradient of the model and of labels, path of everything.
        landing = change(estimator.weights(terms.sticking))
        moves = estimator.slopes(log_weight) * landing - estimator.curvatures(log_weight) * path
        value = estimator.of_weights(log_weight).detach()
        return estimator.summed(terms, value + moves.sum(-2))
