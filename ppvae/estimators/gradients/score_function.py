"""The gradient of draws without a path: the score of each, weighed by what it led to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from torch import Tensor, nn

from ppvae.dependencies import Dependencies, dependencies
from ppvae.estimators.gradient import BoundOfWeights, Gradient
from ppvae.estimators.gradients.baselines import Baseline
from ppvae.estimators.gradients.direct import at_fixed_draws
from ppvae.estimators.gradients.score_sites import scored_sites, scores_of_draws
from ppvae.terms import LogTerms

__all__ = ["ScoreFunction"]

# The name under which a K-sample bound's one signal has its baseline.
_ALL = "every_site"


class ScoreFunction(Gradient):
    r"""Score function gradient, Rao-Blackwellized by datum and by site, with baselines.

    .. math:: \nabla E_q[f] = E_q[\nabla f + \sum_i (f_i - b_i) \nabla_\phi \log q(z_i|x)]

    f_i is the sum of those addends of log p(x, z) - log q(z|x), of the same datum, that depend on
    the draw z_i, by itself or through later draws; the others have expectation zero beside its
    score, as the score alone has. Sites without rsample are scored, reparameterized ones keep their
    path, enumerated ones stay summed. Under a K-sample bound the signal is the bound for all
    draws: there VIMCO has less noise.

    What depends on what is found by following the draws (:func:`ppvae.dependencies.dependencies`).
    Rows are taken to be independent, which batch norm in training mode makes them not.

    Args:
        baseline: a guess b of the signal, subtracted from it: one for all scored sites, or one for
            each by name; none unless given.
        reparameterize: whether reparameterized sites keep their path; otherwise each drawn site is
            scored.

    Raises:
        TypeError: a baseline is no Baseline.
        ValueError: a baseline does not serve the bound; in training, a scored site lies outside of
            the data plate or has no baseline by its name, an auxiliary site depends on one, or a
            site that is to lose its path has no density at a given draw.

    Source: Ranganath, Gerrish & Blei (2014), arXiv:1401.0118, section 3; Williams (1992), "Simple
    statistical gradient-following algorithms for connectionist reinforcement learning".
    """

    def __init__(
        self,
        baseline: Baseline | Mapping[str, Baseline] | None = None,
        *,
        reparameterize: bool = True,
    ) -> None:
        super().__init__()
        named = baseline if isinstance(baseline, Mapping) else {_ALL: baseline}
        chosen = {name: one for name, one in named.items() if one is not None}
        for one in chosen.values():
            if not isinstance(one, Baseline):
                raise TypeError(f"baseline must be a Baseline; got {type(one).__name__}.")
        self.baselines = nn.ModuleDict(chosen)
        self.reparameterize = reparameterize

    def accept(self, estimator: BoundOfWeights) -> None:
        """Refuse what a baseline refuses."""
        for name in self.baselines:
            self._baseline(name).accept(estimator)

    def surrogate(self, estimator: BoundOfWeights, terms: LogTerms) -> Tensor:
        """The bound, (B,), with the gradient above; less the squared errors of baselines."""
        followed = self._followed(terms)
        addends = estimator.addends(followed) if estimator.averages else {}
        total = estimator.bound(followed)
        for site, signal in self._signals(estimator, followed).items():
            guess = self._guess(site, signal, followed)
            # The bound's own -log q of the site has a score too, of expectation zero: it is undone.
            led_to = signal - guess.detach() + float(("posterior", site) in addends)
            weighed = scores_of_draws(estimator, followed, [site]) * led_to
            if estimator.averages:
                total = total + followed.expected(weighed).mean(0)
            else:
                total = total + estimator.summed(followed, weighed.sum(-2))
            if guess.requires_grad:
                total = total - (signal - guess).square().flatten(0, -2).mean(0)
        return total

    def observe(self, estimator: BoundOfWeights, terms: LogTerms) -> None:
        """Let the baselines learn from the signals of a training step."""
        if len(self.baselines):
            for site, signal in self._signals(estimator, self._followed(terms)).items():
                self._baseline(site).observe(signal)

    def extra_repr(self) -> str:
        """The settings, as they were given."""
        named = dict(self.baselines.items())
        baseline = f"{named.get(_ALL, named)}, " if named else ""
        return f"{baseline}reparameterize={self.reparameterize}"

    def _followed(self, terms: LogTerms) -> LogTerms:
        return terms if self.reparameterize else at_fixed_draws(self, terms)

    def _signals(self, estimator: BoundOfWeights, terms: LogTerms) -> dict[str, Tensor]:
        """What each scored site's draws led to, (C, ..., K, B), or (C, ..., 1, B) of all draws."""
        scored = scored_sites(self, terms, every=not self.reparameterize)
        if not estimator.averages:
            value = estimator.of_weights(estimator.weights(terms).detach())
            return dict.fromkeys(scored, value.unsqueeze(-2))
        addends = estimator.addends(terms)
        signals = {site: _led_to(site, addends, terms).detach() for site in scored}
        return {site: terms.possible(signal) for site, signal in signals.items()}

    def _guess(self, site: str, signal: Tensor, terms: LogTerms) -> Tensor:
        if not len(self.baselines):
            return signal.new_zeros(())
        guess: Tensor = self._baseline(site)(signal, terms)
        return guess

    def _baseline(self, site: str) -> Baseline:
        name = _ALL if _ALL in self.baselines else site
        if name not in self.baselines:
            raise ValueError(
                f"baseline must be given for each scored site; got {sorted(self.baselines)}, "
                f"none for {site!r}."
            )
        baseline: Any = self.baselines[name]
        return cast(Baseline, baseline)


def _led_to(site: str, addends: Mapping[tuple[str, str], Tensor], terms: LogTerms) -> Tensor:
    """The sum of the addends that depend on the draws of a site, (C, ..., K, B)."""
    found = dependencies(terms)
    zero = terms.log_posterior.new_zeros(terms.num_particles, terms.batch_size)
    return sum((term for key, term in addends.items() if site in _decide(found, *key)), start=zero)


def _decide(found: Dependencies, kind: str, site: str) -> frozenset[str]:
    """The draws that decide an addend."""
    if kind == "joint":
        return frozenset().union(*found.model.values())
    if kind == "kl":
        return (found.model[site] | found.guide[site]) - {site}
    return (found.guide if kind == "posterior" else found.model)[site]
