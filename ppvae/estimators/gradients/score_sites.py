"""The sites of a guide that are scored, and what the scores of a draw add up to."""

from __future__ import annotations

from torch import Tensor

from ppvae.dependencies import dependencies
from ppvae.estimators.gradient import BoundOfWeights, Gradient
from ppvae.estimators.gradients.direct import change
from ppvae.terms import LogTerms

__all__ = ["scored_sites", "scores_of_draws"]


def scored_sites(gradient: Gradient, terms: LogTerms, every: bool = False) -> list[str]:
    """The drawn sites to be scored: those without a path, or all.

    Args:
        gradient: who asks.
        terms: of the draws.
        every: whether reparameterized sites are scored too.

    Raises:
        ValueError: one lies outside of the data plate, is auxiliary or under a ``poutine.scale``;
            or an auxiliary site depends on one, so that its gradient would be left out.
    """
    name = type(gradient).__name__
    drawn = [site for site in terms.posterior if site not in terms.enumerated]
    scored = [*drawn, *terms.global_posterior] if every else terms.scored
    for site in scored:
        if site not in drawn:
            raise ValueError(
                f"{name} must score latent sites in the data plate; got {site!r}, which is not "
                "one of them."
            )
        if site in terms.rescaled:
            raise ValueError(
                f"{name} must score log-densities as they are; got a poutine.scale on {site!r}."
            )
    _refuse_auxiliary(name, terms, frozenset(scored))
    return scored


def _refuse_auxiliary(name: str, terms: LogTerms, scored: frozenset[str]) -> None:
    """Refuse auxiliary sites that depend on a scored one: their sum has no score."""
    if not scored:
        return
    found = dependencies(terms)
    known = {*terms.posterior, *terms.prior, *terms.likelihood}
    known |= {*terms.global_posterior, *terms.global_prior}
    for site, draws in (*found.model.items(), *found.guide.items()):
        if site not in known and draws & scored:
            raise ValueError(
                f"{name} must have auxiliary sites that do not depend on a scored one; "
                f"got {site!r}."
            )


def scores_of_draws(
    estimator: BoundOfWeights, terms: LogTerms, scored: list[str]
) -> Tensor | float:
    """Log q of all scored sites of each draw, of value zero, (C, ..., K, B).

    It keeps the path through reparameterized sites that a scored one depends on. Labels inside of
    the weight have draws of their own, all of which count: then it is (K, B).
    """
    total: Tensor | float = 0.0
    for site in scored:
        score = change(terms.posterior[site])
        if not estimator.expected and score.dim() > 2:
            score = score.flatten(0, -3).sum(0)
        total = total + score
    return total
