"""The score function with a control variate for each parameter."""

from __future__ import annotations

import torch
from torch import Tensor

from ppvae.estimators.gradient import BoundOfWeights, Gradient
from ppvae.estimators.gradients.direct import at_fixed_draws, change
from ppvae.estimators.gradients.score_sites import led_to_in_all_data, scored_sites
from ppvae.terms import LogTerms

__all__ = ["ControlVariates"]


class ControlVariates(Gradient):
    r"""Score function gradient of VI over parameters, the score of each its own control variate.

    .. math:: \nabla_d = \frac{1}{K} \sum_k h_{kd} (f_k - a_{kd}), \quad
        a_{kd} = \frac{\sum_{j \ne k} h_{jd}^2 f_j}{\sum_{j \ne k} h_{jd}^2}, \quad
        h_{kd} = \frac{\partial \log q(w_k)}{\partial \lambda_d}

    f is what a draw of the site w led to (:class:`ppvae.ScoreFunction`, Rao-Blackwellized by site)
    and lambda the guide's parameters. As a score has expectation zero, the best coefficient
    Cov(h f, h) / Var(h) is E[h^2 f] / E[h^2]. It is estimated from the K - 1 other draws, so that
    the gradient's expectation is left as it is: in the paper it comes from the same draws, which
    leaves a bias of order 1 / K. :class:`ppvae.estimators.LeaveOneOut` is this with equal weights
    in the place of h^2, one number for all parameters.

    It is for guides whose drawn sites all lie outside of the data plate: the score of each draw is
    taken by itself, K backward passes through log q. A guide with codes in the plate has one for
    each draw and row: there ``ScoreFunction(LeaveOneOut())`` serves.

    Raises:
        ValueError: num_particles is 1, or the bound is no ELBO; in training, a drawn site lies in
            the data plate, an auxiliary site depends on a drawn one, or the guide's density cannot
            be evaluated at a given draw.

    Source: Ranganath, Gerrish & Blei (2014), arXiv:1401.0118, section 3.2.
    """

    def accept(self, estimator: BoundOfWeights) -> None:
        """Refuse one draw, and a bound of K weights together."""
        if estimator.num_particles < 2:
            raise ValueError(
                f"num_particles must be at least 2 for ControlVariates; "
                f"got {estimator.num_particles}."
            )
        if not estimator.averages:
            raise ValueError(
                "ControlVariates must have a signal per draw, as the ELBO has; got "
                f"{type(estimator).__name__}."
            )

    def surrogate(self, estimator: BoundOfWeights, terms: LogTerms) -> Tensor:
        """The bound, (B,), with the gradient above."""
        _refuse_codes(terms)
        fixed = at_fixed_draws(self, terms)
        total, addends = estimator.bound(fixed), estimator.addends(fixed)
        leaves = [*terms.pair.leaves.values()]
        for site in scored_sites(self, terms, every=True, outside=True):
            # One more than it led to: the score of the bound's own -log q is undone.
            signal = led_to_in_all_data(site, addends, fixed).detach().squeeze(-1)
            for leaf, scores in _scores(fixed.global_posterior[site], leaves):
                each = signal.reshape(-1, *[1] * leaf.dim())
                gradient = (scores * (each - _coefficients(scores, each) + 1.0)).mean(0)
                # What one draw for all rows adds to the sum over N rows is spread over them.
                share = 1.0 / (fixed.scale * fixed.batch_size)
                total = total + share * (gradient * change(leaf)).sum()
        return total


def _scores(log_posterior: Tensor, leaves: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """The parameters of log q, (K,), each with the score of every draw, (K, *leaf)."""
    rows = [
        torch.autograd.grad(one, leaves, retain_graph=True, allow_unused=True)
        for one in log_posterior.unbind()
    ]
    columns = zip(leaves, zip(*rows, strict=True), strict=True)
    return [(leaf, torch.stack(each)) for leaf, each in columns if each[0] is not None]


def _coefficients(scores: Tensor, signal: Tensor) -> Tensor:
    """For each draw the coefficient that the other draws tell, (K, *leaf)."""
    weight = scores.square()
    weighed = weight * signal
    others = weight.sum(0) - weight
    # A parameter whose score is zero at all other draws has nothing to be controlled with.
    known = others > 0
    return torch.where(known, (weighed.sum(0) - weighed) / torch.where(known, others, 1.0), 0.0)


def _refuse_codes(terms: LogTerms) -> None:
    drawn = [site for site in terms.posterior if site not in terms.enumerated]
    if drawn:
        raise ValueError(
            "ControlVariates must have all drawn sites outside of the data plate; got "
            f"{drawn[0]!r} in it, which ScoreFunction(LeaveOneOut()) serves."
        )
