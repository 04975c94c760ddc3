"""Log-densities of a model and a guide at K draws: the one computation that all bounds share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ppvae.closed_form import closed_form_kl
from ppvae.pair import Batch, Pair
from ppvae.sites import Sites, collect
from ppvae.tracing import Traces, detached, particle, retrace

__all__ = ["LogTerms"]


class LogTerms:
    """Log-densities at K draws z ~ q(z|x), in nats, (K, B).

    Discrete sites marked ``infer={"enumerate": "parallel"}`` are not drawn: their values stand in
    dimensions (C, ...) in front of (K, B) until :meth:`expected` or :attr:`marginal` sums them out.
    The data plate's scale N / B is divided out of all terms and kept in :attr:`scale`; masks
    stay in.

    Made by :func:`ppvae.log_terms`.

    Attributes:
        num_particles: K.
        batch_size: B.
        scale: N / B, rows of the data over rows of the batch; 1 unless the plate subsamples.
    """

    def __init__(self, pair: Pair, batch: Batch, traces: list[Traces], num_particles: int) -> None:
        self._pair = pair
        self._batch = batch
        self._traces = traces
        self.num_particles = num_particles
        nesting = pair.scope.plate_nesting or 0
        self._parts: list[Sites] = [
            collect(pair_of_traces, nesting, num_particles // len(traces))
            for pair_of_traces in traces
        ]
        self.batch_size = int(self._first.layout.data.size)
        self.scale = self._first.layout.scale

    @property
    def _first(self) -> Sites:
        return self._parts[0]

    @cached_property
    def likelihood(self) -> dict[str, Tensor]:
        """Log p(x|z) by observed site, (C, ..., K, B) nats."""
        return self._stacked("likelihood")

    @cached_property
    def prior(self) -> dict[str, Tensor]:
        """Log p(z) by latent site of the model, (C, ..., K, B) nats."""
        return self._stacked("prior")

    @cached_property
    def posterior(self) -> dict[str, Tensor]:
        """Log q(z|x) by site of the guide, (C, ..., K, B) nats."""
        return self._stacked("posterior")

    @cached_property
    def kl(self) -> dict[str, Tensor]:
        """KL(q(z|x) || p(z)) by latent site that has a closed form, (C, ..., K, B) nats.

        Raises:
            ValueError: model and guide sample their latent sites in different orders.
        """
        parts = [
            closed_form_kl(traces, part.layout)
            for traces, part in zip(self._traces, self._parts, strict=True)
        ]
        return {name: _cat([part[name] for part in parts], -2) for name in parts[0]}

    @cached_property
    def values(self) -> dict[str, Tensor]:
        """The draws by latent site of the guide, (K, B, *event), behind enumerated dimensions."""
        nesting = self._first.layout.nesting
        dims = {n: -1 - nesting - self._guide_site(n)["fn"].event_dim for n in self._first.values}
        return {n: _cat([part.values[n] for part in self._parts], dims[n]) for n in dims}

    @property
    def log_likelihood(self) -> Tensor:
        """Log p(x|z), (C, ..., K, B) nats; its expectation is called "reconstruction"."""
        return self._total(self.likelihood.values())

    @property
    def log_prior(self) -> Tensor:
        """Log p(z) over all local latent sites, (C, ..., K, B) nats."""
        return self._total(self.prior.values())

    @property
    def log_posterior(self) -> Tensor:
        """Log q(z|x) over all local latent sites, (C, ..., K, B) nats."""
        return self._total(self.posterior.values())

    @property
    def log_weight(self) -> Tensor:
        """Log w = log p(x, z) - log q(z|x), (C, ..., K, B) nats.

        Labels that only the model enumerates are summed out of it.
        """
        return self._joint - self.log_posterior

    @property
    def log_weight_with_kl(self) -> Tensor:
        """Log p(x|z) - KL(q(z|x) || p(z)), (C, ..., K, B) nats, closed where a formula is known.

        Sites without a formula contribute log p(z) - log q(z|x) at the draws. Its expectation is
        that of :attr:`log_weight`; its value at one draw is not.
        """
        sampled = [term for name, term in self.prior.items() if name not in self.kl]
        left = [term for name, term in self.posterior.items() if name not in self.kl]
        joint = self._sum_model_labels(self.log_likelihood + self._total(sampled))
        return joint - self._total(left) - self._total(self.kl.values())

    @property
    def marginal(self) -> Tensor:
        """Log sum_y p(x, y, z) / q(z|x, y), (K, B) nats: enumerated labels inside the weight."""
        # Left out rather than added back: where q(y|x) = 0 that would be -inf + inf.
        drawn = [t for name, t in self.posterior.items() if name not in self.enumerated]
        return _logsumexp(self._joint - self._total(drawn), self._guide_dims)

    def expected(self, terms: Tensor) -> Tensor:
        """sum_y q(y|x) f(y) for f of shape (C, ..., K, B): enumerated labels summed, (K, B)."""
        if not self._guide_dims:
            return terms
        labels = [term for name, term in self.posterior.items() if name in self.enumerated]
        weight, terms = torch.broadcast_tensors(self._total(labels).exp(), terms)
        # A label of probability zero has no part in the sum, even where its term is infinite.
        return (weight * terms.masked_fill(weight == 0, 0.0)).sum(self._guide_dims)

    @property
    def auxiliary(self) -> Tensor:
        """Log-densities of sites marked ``infer={"auxiliary": True}``, (C, ..., K, B) nats.

        They belong to what is optimised, never to the bound that is reported.
        """
        return self._total(self._stacked("auxiliary").values())

    @property
    def global_weight(self) -> Tensor:
        """Log p - log q of the latent sites outside of the data plate, (K,) nats."""
        prior = sum(self._stacked("global_prior", -1).values(), self._zero)
        posterior = sum(self._stacked("global_posterior", -1).values(), self._zero)
        return torch.as_tensor(prior - posterior).expand(self.num_particles)

    @property
    def has_global(self) -> bool:
        """Whether a latent site lies outside of the data plate."""
        return bool(self._first.global_prior or self._first.global_posterior)

    @property
    def enumerated(self) -> list[str]:
        """The sites that are summed out exactly."""
        return list(self._first.enumerated)

    @property
    def scored(self) -> list[str]:
        """The sites of the guide that are neither enumerated nor reparameterized."""
        return list(self._first.scored)

    @property
    def rescaled(self) -> list[str]:
        """The sites whose log-density a ``poutine.scale`` multiplies."""
        return list(dict.fromkeys(self._first.rescaled))

    @cached_property
    def fixed(self) -> LogTerms:
        """The terms of both programs run again at the same draws, the draws detached.

        A gradient through these is the direct one; the rest is the path through the draws.

        Raises:
            ValueError: the guide's density cannot be evaluated at a given draw.
        """
        each = self.num_particles // len(self._traces)
        values = [detached(guide) for _, guide in self._traces]
        with self._pair.entered():
            again = [retrace(self._pair, self._batch, each, value) for value in values]
            try:
                return LogTerms(self._pair, self._batch, again, self.num_particles)
            except (KeyError, NotImplementedError) as error:
                raise ValueError(
                    "the guide must have a density at any given draw; "
                    f"got a transform without an inverse ({error})."
                ) from error

    def one_by_one(self) -> LogTerms:
        """The terms of the same draws, both programs run once for each of the K."""
        if len(self._traces) == self.num_particles:
            return self
        nesting = self._first.layout.nesting
        alone = [
            retrace(self._pair, self._batch, 1, particle(guide, number, nesting))
            for _, guide in self._traces
            for number in range(self.num_particles)
        ]
        return LogTerms(self._pair, self._batch, alone, self.num_particles)

    def _guide_site(self, name: str) -> Mapping[str, Any]:
        return self._traces[0][1].nodes[name]

    @property
    def _shape(self) -> tuple[int, int]:
        return self.num_particles, self.batch_size

    @property
    def _zero(self) -> Tensor:
        return next(iter(self.likelihood.values())).new_zeros(())

    @property
    def _guide_dims(self) -> list[int]:
        return [self._first.enumerated[n] for n in self.posterior if n in self._first.enumerated]

    @property
    def _joint(self) -> Tensor:
        return self._sum_model_labels(self.log_likelihood + self.log_prior)

    def _sum_model_labels(self, joint: Tensor) -> Tensor:
        only = [d for n, d in self._first.enumerated.items() if n not in self.posterior]
        # They stand left of the guide's, so that no other dimension moves.
        return _logsumexp(joint, only)

    def _stacked(self, kind: str, dim: int = -2) -> dict[str, Tensor]:
        parts: list[dict[str, Tensor]] = [getattr(part, kind) for part in self._parts]
        return {name: _cat([part[name] for part in parts], dim) for name in parts[0]}

    def _total(self, terms: Iterable[Tensor]) -> Tensor:
        total = torch.as_tensor(sum(terms, self._zero))
        return total.expand(torch.broadcast_shapes(total.shape, self._shape))


def _cat(parts: list[Tensor], dim: int) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim)


def _logsumexp(terms: Tensor, dims: list[int]) -> Tensor:
    return terms.logsumexp(dims) if dims else terms
