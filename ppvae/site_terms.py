"""Log-densities by site over all traces of a set of draws, in nats."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ppvae.closed_form import closed_form_kl
from ppvae.pair import Batch, Pair
from ppvae.sites import Sites, collect
from ppvae.tracing import Traces

__all__ = ["SiteTerms"]


class SiteTerms:
    """What model and guide say of K draws, site by site: see :class:`ppvae.LogTerms`.

    Args:
        pair: model and guide.
        batch: what they were run on, positional arguments and named fields.
        traces: of all draws at once, or of one draw each.
        num_particles: K.
        noise: where the generators stood before the draws.
    """

    def __init__(
        self,
        pair: Pair,
        batch: Batch,
        traces: list[Traces],
        num_particles: int,
        noise: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.pair = pair
        self.batch = batch
        self._traces = traces
        self._noise = dict(noise or {})
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

    @cached_property
    def global_prior(self) -> dict[str, Tensor]:
        """Log p by latent site of the model outside of the data plate, (K,) nats."""
        return self._stacked("global_prior", -1)

    @cached_property
    def global_posterior(self) -> dict[str, Tensor]:
        """Log q by site of the guide outside of the data plate, (K,) nats."""
        return self._stacked("global_posterior", -1)

    @cached_property
    def log_label(self) -> dict[str, Tensor]:
        """Log q(y|x) of the labels that rows have, 0 where they have none, by site, (K, B) nats."""
        return self._stacked("log_label")

    @cached_property
    def labelled(self) -> dict[str, Tensor]:
        """Whether a row has a label, by site of the guide that labels are known of, (K, B)."""
        return self._stacked("labelled")

    def plates(self, name: str) -> set[str]:
        """The plates around a site of the guide, that of the particles left out."""
        frames = self._guide_site(name)["cond_indep_stack"]
        return {frame.name for frame in frames if frame.vectorized and frame.name != "particles"}

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
    def present(self) -> Tensor:
        """1 for a row that has a site which no ``poutine.mask`` leaves out, else 0, (B,)."""
        layout, of = self._first.layout, ([*self.likelihood, *self.prior], [*self.posterior])
        sites: list[Mapping[str, Any]] = [
            trace.nodes[name]
            for trace, names in zip(self._traces[0], of, strict=True)
            for name in names
        ]
        like = next(iter(self.likelihood.values()))
        if any(site["mask"] is None for site in sites):
            return like.new_ones(self.batch_size)
        kept = [layout.reduced(s, like.new_ones(s["fn"].batch_shape)) > 0 for s in sites]
        rows = torch.stack([each.flatten(0, -2).any(0).expand(self.batch_size) for each in kept])
        return rows.any(0).to(like.dtype)

    def _guide_site(self, name: str) -> Mapping[str, Any]:
        return self._traces[0][1].nodes[name]

    def _stacked(self, kind: str, dim: int = -2) -> dict[str, Tensor]:
        parts: list[dict[str, Tensor]] = [getattr(part, kind) for part in self._parts]
        return {name: _cat([part[name] for part in parts], dim) for name in parts[0]}


def _cat(parts: list[Tensor], dim: int) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim)
