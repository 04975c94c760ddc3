"""Markovian score climbing: the guide learns from a Markov chain towards p(z|x) for each row."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ppvae.estimators.base import Estimator, per_datum, weights_of_draws
from ppvae.estimators.log_mean import log_mean
from ppvae.given import detached_terms, given_terms
from ppvae.pair import Batch, Pair
from ppvae.scope import Program
from ppvae.terms import LogTerms
from ppvae.tracing import rehearsal

__all__ = ["ScoreClimbing"]


class _Candidates(NamedTuple):
    """The retained draw and the K fresh ones of each row: weights (1 + K, B), values by site."""

    of: weakref.ref[LogTerms]
    weights: Tensor
    values: Mapping[str, Tensor]


class ScoreClimbing(Estimator):
    r"""The inclusive KL without the bias of self-normalized weights.

    Each row of the data has a Markov chain with the stationary distribution p(z|x), a conditional
    importance sampler: its last state z_0 and K fresh draws from the guide are the candidates,

    .. math:: v_k = w_k / \sum_{j=0}^K w_j, \quad w_k = p_\theta(x, z_k) / q_\phi(z_k|x),

    all of them weighed under the parameters as they are now, and the next state is one of them,
    with probability v_k. Guide and model follow all candidates by their weights, which is the
    gradient at the next state with the choice among them averaged out:

    .. math:: \sum_{k=0}^K v_k \nabla [\log q_\phi(z_k|x) + \log p_\theta(x, z_k)]

    Where the state is a draw from p(z|x) these are unbiased for the gradients of
    E_{p(z|x)}[log q(z|x)] and of log p(x), for every K. What is reported is L_K of the fresh draws.

    A row is found by the batch's field "index". It begins with its first draw, and moves in
    training steps alone; :func:`ppvae.fit` makes room for as many rows as the data have, and
    checkpoints hold the states.

    Args:
        num_particles: K, fresh draws from the guide per datum, at least 1. With the state that
            makes the S = K + 1 of the paper.
        num_rows: N, rows of the data; found out by ``fit`` if not given.

    Raises:
        ValueError: num_particles or num_rows is below 1. In training: a batch has no index, or one
            of no such row; N is not known; or a site is enumerated, or lies in other plates than
            the data plate alone.

    Source: Naesseth, Lindsten & Blei (2020), arXiv:2003.10374.
    """

    bound_kind = "lower"

    visited: Tensor

    def __init__(self, num_particles: int = 1, num_rows: int | None = None) -> None:
        super().__init__(num_particles)
        if num_rows is not None and num_rows < 1:
            raise ValueError(f"num_rows must be at least 1; got {num_rows}.")
        self.num_rows = num_rows
        # Names of sites may hold dots, names of buffers may not.
        self._buffers_of: dict[str, str] = {}
        self._last: _Candidates | None = None

    def terms(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> LogTerms:
        """The log-terms of the K fresh draws, detached."""
        return detached_terms(Pair(model, guide), (args, kwargs), self.num_particles)

    def bound(self, terms: LogTerms) -> Tensor:
        """L_K of the fresh draws in nats, (B,)."""
        return per_datum(log_mean(weights_of_draws(self, terms)), terms)

    def target(self, role: str) -> str:
        """Log p(x) for the model, the inclusive KL for the guide."""
        return "log p(x)" if role == "model" else "inclusive KL"

    def biased_for(self) -> str | None:
        """What both follow, once the chains have forgotten how they began."""
        return "that of log p(x) for the model and of minus KL(p(z|x) || q(z|x)) for the guide"

    def surrogate(self, terms: LogTerms) -> Tensor:
        """What is differentiated, (B,)."""
        retained, self._last = self._weighed(terms)
        weights = self._last.weights
        log_density = torch.cat([t.log_joint + t.log_posterior for t in (retained, terms.fixed)])
        # What has no weight has no part in the sum, even where its density is zero too.
        return (weights * log_density.masked_fill(weights == 0, 0.0)).sum(0)

    def observe(self, terms: LogTerms) -> None:
        """Take one candidate of each row for its next state."""
        super().observe(terms)
        last, self._last = self._last, None
        if last is None or last.of() is not terms:
            _, last = self._weighed(terms)
        chosen = torch.multinomial(last.weights.T, 1)[:, 0]
        index, rows = self._index(terms), torch.arange(len(chosen), device=chosen.device)
        for name, buffer in self._buffers_of.items():
            getattr(self, buffer)[index] = last.values[name][chosen, rows]
        self.visited[index] = True

    def prepare(self, pair: Pair, batch: Batch, num_rows: int) -> None:
        """Make room for the states of so many rows, none of which was visited."""
        with rehearsal(pair):
            terms = self.terms(pair.model, pair.guide, *batch[0], **batch[1])
        self.num_rows = num_rows
        self._make_room(_row_values(terms))

    def _weighed(self, terms: LogTerms) -> tuple[LogTerms, _Candidates]:
        """The terms of the retained draw, and all candidates with their weights."""
        log_weight, fresh = self._weights(terms), _row_values(terms)
        retained = given_terms(terms.pair, terms.batch, self._retained(terms, fresh))
        weights = torch.cat([self._weights(retained), log_weight]).detach().softmax(0)
        values = {n: torch.cat([retained.values[n], v]).detach() for n, v in fresh.items()}
        return retained, _Candidates(weakref.ref(terms), weights, values)

    def _make_room(self, values: Mapping[str, Tensor]) -> None:
        if self.num_rows is None:
            raise ValueError(
                "num_rows must be given where no fit tells how many rows the data have; got None."
            )
        example = next(iter(values.values()))
        self.register_buffer("visited", example.new_zeros(self.num_rows, dtype=torch.bool))
        for number, (name, value) in enumerate(values.items()):
            self._buffers_of[name] = f"state{number}"
            self.register_buffer(f"state{number}", value.new_zeros(self.num_rows, *value.shape[2:]))

    def _retained(self, terms: LogTerms, fresh: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The states of the batch's rows; the first draw of a row that has none."""
        if not self._buffers_of:
            self._make_room(fresh)
        index = self._index(terms)
        try:
            seen = self.visited[index]
        except IndexError as error:
            raise ValueError(
                f"index must be below num_rows, {self.num_rows}; got {int(index.max())}."
            ) from error
        return {
            name: torch.where(
                seen.reshape(-1, *[1] * (value.dim() - 2)),
                getattr(self, self._buffers_of[name])[index],
                value[0].detach(),
            )
            for name, value in fresh.items()
        }

    def _index(self, terms: LogTerms) -> Tensor:
        args, fields = terms.batch
        index = fields.get("index")
        if not isinstance(index, Tensor) or index.shape != (terms.batch_size,):
            raise ValueError(
                "ScoreClimbing must find the field 'index', the row's number in the data, (B,), "
                f"in the batch; got {sorted(fields) or f'{len(args)} arguments without names'}."
            )
        return index

    def _weights(self, terms: LogTerms) -> Tensor:
        _refuse_not_drawn(terms)
        return weights_of_draws(self, terms)

    def extra_repr(self) -> str:
        """The settings, as they were given."""
        return f"num_particles={self.num_particles}, num_rows={self.num_rows}"


def _row_values(terms: LogTerms) -> dict[str, Tensor]:
    """The draws by site, (K, B, *event)."""
    _refuse_not_drawn(terms)
    for name, value in terms.values.items():
        plates, shape = terms.plates(name), (terms.num_particles, terms.batch_size)
        if len(plates) > 1 or value.shape[:2] != shape:
            raise ValueError(
                "ScoreClimbing must have one value per row at every latent site; "
                f"got {name!r} in plates {sorted(plates)}."
            )
    return terms.values


def _refuse_not_drawn(terms: LogTerms) -> None:
    """Refuse latent sites that have no state of a row's own."""
    enumerated = [name for name in terms.enumerated if name in terms.posterior]
    if enumerated or terms.has_global or not terms.posterior:
        other = "one outside of it" if terms.has_global else "none"
        got = f"{enumerated[0]!r}, which is enumerated" if enumerated else other
        raise ValueError(
            f"ScoreClimbing must draw every latent site, in the data plate; got {got}."
        )
