"""The sites of a guide that are scored, what their draws led to, what their scores add up to."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ppvae.dependencies import Dependencies, dependencies
from ppvae.estimators.gradient import BoundOfWeights, Gradient
from ppvae.estimators.gradients.direct import change
from ppvae.terms import LogTerms

__all__ = ["led_to", "led_to_in_all_data", "scored_sites", "scores_of_draws"]


def scored_sites(
    gradient: Gradient, terms: LogTerms, every: bool = False, outside: bool = False
) -> list[str]:
    """The drawn sites to be scored: those without a path, or all.

    Args:
        gradient: who asks.
        terms: of the draws.
        every: whether reparameterized sites are scored too.
        outside: whether the gradient can score sites outside of the data plate.

    Raises:
        ValueError: one lies outside of the data plate and that is not allowed, is auxiliary or
            under a ``poutine.scale``; or an auxiliary site depends on one, so that its gradient
            would be left out.
    """
    name = type(gradient).__name__
    drawn = [site for site in terms.posterior if site not in terms.enumerated]
    scored = [*drawn, *terms.global_posterior] if every else terms.scored
    allowed = [*drawn, *terms.global_posterior] if outside else drawn
    for site in scored:
        if site not in allowed:
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


def led_to(site: str, addends: Mapping[tuple[str, str], Tensor], terms: LogTerms) -> Tensor:
    """The sum of the addends that depend on the draws of a site in the plate, (C, ..., K, B)."""
    found = dependencies(terms)
    zero = terms.log_posterior.new_zeros(terms.num_particles, terms.batch_size)
    return sum((term for key, term in addends.items() if site in _decide(found, *key)), start=zero)


def led_to_in_all_data(
    site: str, addends: Mapping[tuple[str, str], Tensor], terms: LogTerms
) -> Tensor:
    """What a draw of a site outside of the data plate led to in all N rows, (K, 1) nats.

    Its own log p - log q, and that of others outside that depend on it, count once; the addends
    of the rows of the batch stand for N / B rows each, labels summed under q(y|x).
    """
    found = dependencies(terms)
    of_rows = terms.expected(terms.possible(led_to(site, addends, terms)))
    total = terms.scale * of_rows.sum(-1)
    for name, term in terms.global_prior.items():
        total = total + (term if site in found.model[name] else 0.0)
    for name, term in terms.global_posterior.items():
        total = total - (term if site in found.guide[name] else 0.0)
    return total.unsqueeze(-1)


def _decide(found: Dependencies, kind: str, site: str) -> frozenset[str]:
    """The draws that decide an addend."""
    if kind == "joint":
        return frozenset().union(*found.model.values())
    if kind == "kl":
        return (found.model[site] | found.guide[site]) - {site}
    return (found.guide if kind == "posterior" else found.model)[site]


def scores_of_draws(
    estimator: BoundOfWeights, terms: LogTerms, scored: list[str]
) -> Tensor | float:
    """Log q of all scored sites of each draw, of value zero, (C, ..., K, B).

    It keeps the path through reparameterized sites that a scored one depends on. Labels inside of
    the weight have draws of their own, all of which count: then it is (K, B). A site outside of the
    data plate has one score for all rows, (K, 1).
    """
    total: Tensor | float = 0.0
    for site in scored:
        if site in terms.global_posterior:
            score = change(terms.global_posterior[site]).unsqueeze(-1)
        else:
            score = change(terms.posterior[site])
        if not estimator.expected and score.dim() > 2:
            score = score.flatten(0, -3).sum(0)
        total = total + score
    return total
