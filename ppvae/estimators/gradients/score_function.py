"""The gradient of draws without a path: the score of each, weighed by what it led to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from torch import Tensor, nn

from ppvae.estimators.gradient import BoundOfWeights, Gradient
from ppvae.estimators.gradients.baselines import Baseline
from ppvae.estimators.gradients.direct import at_fixed_draws
from ppvae.estimators.gradients.score_sites import (
    led_to,
    led_to_in_all_data,
    scored_sites,
    scores_of_draws,
)
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
    draws: there VIMCO has less noise. A site outside of the data plate is one draw for all rows,
    and its signal what it led to in all of them, N / B times that of the batch.

    What depends on what is found by following the draws (:func:`ppvae.dependencies.dependencies`).
    Rows are taken to be independent, which batch norm in training mode makes them not.

    Args:
        baseline: a guess b of the signal, subtracted from it: one for all scored sites, or one for
            each by name; none unless given.
        reparameterize: whether reparameterized sites keep their path; otherwise each drawn site is
            scored.

    Raises:
        TypeError: a baseline is no Baseline.
        ValueError: a baseline does not serve the bound; in training, a scored site has no
            baseline by its name, an auxiliary site depends on one, or a site that is to lose its
            path has no density at a given draw.

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
        own = {*followed.global_posterior} if estimator.averages else set()
        own |= {site for kind, site in addends if kind == "posterior"}
        total = estimator.bound(followed)
        for site, signal in self._signals(estimator, followed).items():
            guess = self._guess(site, signal, followed)
            # The bound's own -log q of the site has a score too, of expectation zero: it is undone.
            weight = signal - guess.detach() + float(site in own)
            weighed = scores_of_draws(estimator, followed, [site]) * weight
            # What one draw for all rows adds to the sum over N rows is spread over them.
            outside = site in followed.global_posterior and estimator.averages
            share = 1.0 / (followed.scale * followed.batch_size) if outside else 1.0
            if estimator.averages:
                total = total + share * followed.expected(weighed).mean(0)
            else:
                total = total + estimator.summed(followed, weighed.sum(-2))
            if guess.requires_grad:
                total = total - share * (signal - guess).square().flatten(0, -2).mean(0)
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
        """What each scored site's draws led to, (C, ..., K, B), or (K, 1) of all rows together.

        Under a K-sample bound it is of all draws together, (C, ..., 1, B).
        """
        scored = scored_sites(self, terms, every=not self.reparameterize, outside=True)
        if not estimator.averages:
            value = estimator.of_weights(estimator.weights(terms).detach())
            return dict.fromkeys(scored, value.unsqueeze(-2))
        addends = estimator.addends(terms)
        return {
            site: led_to_in_all_data(site, addends, terms).detach()
            if site in terms.global_posterior
            else terms.possible(led_to(site, addends, terms).detach())
            for site in scored
        }

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
