"""The coordinates of a code: how far q is from p along each, and which of them tell of x."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.distributions import Independent, kl_divergence

from ppvae.evaluate.quantities import closed_kl
from ppvae.means import is_discrete
from ppvae.terms import LogTerms
from ppvae.tracing import Traces

__all__ = ["ACTIVE", "Coordinate", "Coordinates", "activity", "labels_of"]

# A site of a trace: Pyro's own type of it is a TypedDict that knows less than is in it.
Site = Any

# As Burda et al. (2016), arXiv:1509.00519, have it.
ACTIVE = 0.01


class Coordinate(NamedTuple):
    """The coordinates of one latent site, row by row.

    Attributes:
        loc: the mean of z under q(z|x), (B, D).
        noise: variance of that mean over its draws, (B, D); 0 for a formula, nan for one draw.
        kl: KL(q || p) of each coordinate in nats, (B, D); None where it is no sum over them.
    """

    loc: Tensor
    noise: Tensor
    kl: Tensor | None


@dataclass
class _Sums:
    """Sums over draws of one site: of means, of their squares and of KL, each (D, B)."""

    num_draws: int = 0
    exact: bool = False
    loc: Tensor | float = 0.0
    square: Tensor | float = 0.0
    kl: Tensor | None = None


@dataclass
class Coordinates:
    """Adds up what is known of the coordinates of each latent site, chunk by chunk of draws.

    Args:
        nesting: how many dimensions the pair's plates take up.
    """

    nesting: int
    _sums: dict[str, _Sums] = field(default_factory=dict)

    def add(self, traces: list[Traces], terms: LogTerms) -> None:
        """Add the draws of one chunk.

        Args:
            traces: of model and guide, one pair of them with all draws, or one for each draw.
            terms: their log-terms.
        """
        closed, first = closed_kl(terms), _first_drawn(terms)
        for name in _eligible(traces[0], terms):
            sums = self._sums.setdefault(name, _Sums())
            if sums.exact:
                continue
            locs = [_loc(guide.nodes[name]) for _, guide in traces]
            # The first site stands under no draw: its formula is exact, and one is all.
            sums.exact = name == first and all(is_formula for _, is_formula in locs)
            loc = self._placed([loc for loc, _ in locs], name, traces, terms, sums.exact)
            sums.num_draws += loc.shape[-2]
            sums.loc = sums.loc + loc.sum(-2)
            sums.square = sums.square + loc.square().sum(-2)
            if name in closed:
                self._add_kl(sums, name, traces, terms)

    def result(self) -> dict[str, Coordinate]:
        """What was added up, by latent site."""
        return {name: _coordinate(sums) for name, sums in self._sums.items()}

    def _add_kl(self, sums: _Sums, name: str, traces: list[Traces], terms: LogTerms) -> None:
        parts = [_kl(guide.nodes[name], model.nodes[name]) for model, guide in traces]
        found = [part for part in parts if part is not None]
        if len(found) == len(parts):
            kl = self._placed(found, name, traces, terms, sums.exact).sum(-2)
            sums.kl = kl if sums.kl is None else sums.kl + kl

    def _placed(
        self, parts: list[Tensor], name: str, traces: list[Traces], terms: LogTerms, once: bool
    ) -> Tensor:
        """Values of a site's shape as (D, K, B) in float64, enumerated labels summed out."""
        site, each = traces[0][1].nodes[name], terms.num_particles // len(traces)
        moved = torch.cat([_moved(part, site, self.nesting, each) for part in parts], -2)
        summed = terms.expected(moved[..., :1, :] if once else moved)
        return summed.expand(*summed.shape[:-1], terms.batch_size).double()


def activity(loc: Tensor, noise: Tensor) -> Tensor:
    r"""Variance over rows of the mean of q(z|x), by coordinate, (D,); nan for one row.

    .. math:: A_i = \mathrm{Var}_x (E_{q(z|x)} [z_i])

    A mean that was estimated from draws varies more than the mean itself: that is taken off.

    Args:
        loc: the means, (N, D).
        noise: the variance of each as an estimate, (N, D).

    Source: Burda, Grosse & Salakhutdinov (2016), arXiv:1509.00519, whose A is above 0.01 where a
    coordinate is active.
    """
    if len(loc) == 1:
        return torch.full_like(loc[0], math.nan)
    return loc.var(0) - noise.mean(0)


def labels_of(name: str, coordinate: Coordinate) -> list[str]:
    """The names of a site's coordinates: z[0], z[1], ..."""
    return [f"{name}[{i}]" for i in range(coordinate.loc.shape[-1])]


def _coordinate(sums: _Sums) -> Coordinate:
    k = sums.num_draws
    loc = torch.as_tensor(sums.loc) / k
    noise = torch.zeros_like(loc)
    if not sums.exact:
        spread = (torch.as_tensor(sums.square) / k - loc.square()).clamp(min=0)
        noise = spread / (k - 1) if k > 1 else torch.full_like(loc, math.nan)
    return Coordinate(loc.T, noise.T, None if sums.kl is None else sums.kl.T / k)


def _first_drawn(terms: LogTerms) -> str | None:
    return next((name for name in terms.posterior if name not in terms.enumerated), None)


def _eligible(traces: Traces, terms: LogTerms) -> list[str]:
    """The drawn sites whose coordinates are numbers, one code a row."""
    model, guide = traces
    names = [n for n in terms.posterior if n in terms.prior and n not in terms.enumerated]
    return [
        name
        for name in names
        if len(_frames(guide.nodes[name])) == 1
        and (_loc(guide.nodes[name])[1] or not is_discrete(model.nodes[name]["fn"]))
    ]


def _frames(site: Site) -> list[Any]:
    frames = [frame for frame in site["cond_indep_stack"] if frame.vectorized]
    return [frame for frame in frames if frame.name != "particles"]


def _loc(site: Site) -> tuple[Tensor, bool]:
    """The mean of a site's distribution, or its draw where it has none; and whether it has one."""
    try:
        mean: Tensor = site["fn"].mean
    except NotImplementedError:
        return site["value"], False
    return (mean, True) if bool(mean.isfinite().all()) else (site["value"], False)


def _kl(site: Site, prior: Site) -> Tensor | None:
    """KL by coordinate in the shape of a site, where q and p are both independent over them."""
    if site["mask"] is not None or prior["mask"] is not None:
        return None
    q, p = (_univariate(each["fn"]) for each in (site, prior))
    return None if q is None or p is None else kl_divergence(q, p)


def _univariate(fn: Any) -> Any:
    while isinstance(fn, Independent):
        fn = fn.base_dist
    return None if fn.event_shape else fn


def _moved(value: Tensor, site: Site, nesting: int, particles: int) -> Tensor:
    """A value of a site's shape as (D, C, ..., K, B)."""
    event_dim = site["fn"].event_dim
    flat = value.flatten(-event_dim) if event_dim else value.unsqueeze(-1)
    missing = nesting + (particles > 1) - (flat.dim() - 1)
    flat = flat.movedim(-1, 0)[(slice(None), *[None] * max(0, missing))]
    (rows,) = _frames(site)
    flat = flat.squeeze([dim for dim in range(-nesting, 0) if dim != rows.dim])
    return flat if particles > 1 else flat.unsqueeze(-2)
