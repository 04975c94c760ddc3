"""What one piece of draws says of the coordinates of a code, in tensors alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from pyro.poutine import Trace
from torch import Tensor
from torch.distributions import Independent, kl_divergence

from ppvae.evaluate.quantities import closed_kl
from ppvae.means import is_discrete
from ppvae.terms import LogTerms
from ppvae.tracing import Traces

__all__ = ["Mean", "Means", "coordinate_sums", "means_of", "without_formula"]

# A site of a trace: Pyro's own type of it is a TypedDict that knows less than is in it.
Site = Any


class Mean(NamedTuple):
    """How the mean of a latent site under q(z|x) is got.

    Attributes:
        formula: whether its distribution has one; else it is that of its draws.
        exact: whether that is all: the site stands under no draw, so that each draw says the same.
    """

    formula: bool
    exact: bool


Means = Mapping[str, Mean]


def means_of(traces: Traces, terms: LogTerms) -> dict[str, Mean]:
    """The drawn sites whose coordinates are numbers, one code a row, and how their mean is got."""
    model, guide = traces
    drawn = [name for name in terms.posterior if name not in terms.enumerated]
    found = {}
    for name in drawn:
        if name not in terms.prior or len(_frames(guide.nodes[name])) != 1:
            continue
        formula = _has_mean(guide.nodes[name])
        if formula or not is_discrete(model.nodes[name]["fn"]):
            found[name] = Mean(formula, formula and name == drawn[0])
    return found


def without_formula(means: Means, guide: Trace) -> dict[str, Mean]:
    """The same where a formula gives no number in some row of this trace: then draws do."""
    return {
        name: mean if _has_mean(guide.nodes[name]) else Mean(False, False)
        for name, mean in means.items()
    }


def coordinate_sums(
    traces: list[Traces], terms: LogTerms, means: Means, nesting: int
) -> dict[str, dict[str, Tensor]]:
    """What one piece says of each site, by name: tensors alone.

    Args:
        traces: of model and guide, one pair of them with all draws, or one for each draw.
        terms: their log-terms.
        means: how the mean of each site is got.
        nesting: how many dimensions the pair's plates take up.

    Returns:
        By site, each (D, B): sums over the draws of its mean, "loc", of their squares, "square",
        and of its KL, "kl", where there is one; of an exact site the values themselves.
    """
    closed, found = closed_kl(terms), {}
    for name, mean in means.items():
        locs = [_loc(guide.nodes[name], mean) for _, guide in traces]
        loc = _placed(locs, name, traces, terms, nesting, mean)
        found[name] = {"loc": _over_draws(loc, mean)}
        if not mean.exact:
            found[name]["square"] = loc.square().sum(-2)
        if name not in closed:
            continue
        kls = [_kl(guide.nodes[name], model.nodes[name]) for model, guide in traces]
        known = [kl for kl in kls if kl is not None]
        if len(known) == len(kls):
            kl = _placed(known, name, traces, terms, nesting, mean)
            found[name]["kl"] = _over_draws(kl, mean)
    return found


def _over_draws(values: Tensor, mean: Mean) -> Tensor:
    return values.mean(-2) if mean.exact else values.sum(-2)


def _placed(
    parts: list[Tensor],
    name: str,
    traces: list[Traces],
    terms: LogTerms,
    nesting: int,
    mean: Mean,
) -> Tensor:
    """Values of a site's shape as (D, K, B) in float64, enumerated labels summed out."""
    site, each = traces[0][1].nodes[name], terms.num_particles // len(traces)
    if mean.exact:
        moved = _moved(parts[0], site, nesting, each)[..., :1, :]
    else:
        moved = torch.cat([_moved(part, site, nesting, each) for part in parts], -2)
    labels = sum(each in terms.posterior for each in terms.enumerated)
    # A site that depends on no label has no dimension of it, where its coordinates would stand.
    moved = moved[(slice(None), *[None] * max(0, labels + 3 - moved.dim()))]
    summed = terms.expected(moved)
    return summed.expand(*summed.shape[:-1], terms.batch_size).double()


def _frames(site: Site) -> list[Any]:
    frames = [frame for frame in site["cond_indep_stack"] if frame.vectorized]
    return [frame for frame in frames if frame.name != "particles"]


def _has_mean(site: Site) -> bool:
    """Whether a site's distribution has a mean, and that is a number in every row."""
    try:
        return bool(site["fn"].mean.isfinite().all())
    except NotImplementedError:
        return False


def _loc(site: Site, mean: Mean) -> Tensor:
    """The mean of a site's distribution, or its draw where it has none."""
    loc: Tensor = site["fn"].mean if mean.formula else site["value"]
    return loc


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
