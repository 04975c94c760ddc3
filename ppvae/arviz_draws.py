"""Draws of a pair with a name for each dimension, and their log-densities by row."""

from __future__ import annotations

from typing import Any

import pyro
import torch
import xarray as xr
from pyro import poutine
from pyro.poutine.util import prune_subsample_sites
from torch import Tensor

from ppvae.ancestral import Site, drawn, random_sites, traced
from ppvae.means import labelled
from ppvae.pair import Batch, Pair
from ppvae.passes import size_of
from ppvae.terms import LogTerms
from ppvae.tracing import retrace

__all__ = ["Arrays", "observed_arrays", "posterior_arrays", "prior_arrays"]

Arrays = dict[str, xr.DataArray]


def posterior_arrays(pair: Pair, batch: Batch, num_draws: int, predict: bool) -> dict[str, Arrays]:
    """Draws from the guide, by group of ArviZ: (draw, row, ...).

    Discrete sites are drawn too, marked for enumeration or not; labels that only the model
    enumerates are summed out of the log-densities.

    Args:
        pair: model and guide.
        batch: the rows.
        num_draws: at once.
        predict: whether the observed sites are drawn as well.

    Returns:
        "posterior", "log_likelihood", "sample_stats" and, if asked, "posterior_predictive".

    Raises:
        ValueError: the observed sites are to be drawn and cannot be.
    """
    num_rows = size_of(batch)
    guide = poutine.trace(_plated(pair, "guide", batch, num_draws)).get_trace()
    terms = LogTerms(pair, batch, [retrace(pair, batch, num_draws, guide)], num_draws)
    latent = _latent(random_sites(prune_subsample_sites(guide)))
    groups = {
        "posterior": {name: _named(name, site, num_rows) for name, site in latent},
        "log_likelihood": _log_likelihoods(terms),
        "sample_stats": {"log_weight": _log_weight(terms)},
    }
    if predict:
        model = poutine.replay(_plated(pair, "model", batch, num_draws, free=True), trace=guide)
        sites = random_sites(drawn(model))
        groups["posterior_predictive"] = {
            name: _named(name, site, num_rows) for name, site in sites if _was_observed(site)
        }
    return groups


def prior_arrays(pair: Pair, batch: Batch, num_draws: int) -> dict[str, Arrays]:
    """Draws of the model alone, "prior" and "prior_predictive": (draw, row, ...).

    Raises:
        ValueError: a site cannot be drawn.
    """
    num_rows = size_of(batch)
    sites = random_sites(drawn(_plated(pair, "model", batch, num_draws, free=True)))
    observed = [(name, site) for name, site in sites if _was_observed(site)]
    free = [(name, site) for name, site in _latent(sites) if not _was_observed(site)]
    return {
        "prior": {name: _named(name, site, num_rows) for name, site in free},
        "prior_predictive": {name: _named(name, site, num_rows) for name, site in observed},
    }


def observed_arrays(pair: Pair, batch: Batch) -> Arrays:
    """What the model observes, (row, ...)."""
    # Codes from the guide: a flat prior has none.
    guide = poutine.trace(pair.program("guide", batch)).get_trace()
    sites = random_sites(traced(poutine.replay(pair.program("model", batch), trace=guide)))
    return {
        name: _named(name, site, size_of(batch)).isel(draw=0)
        for name, site in sites
        if site["is_observed"] and not _is_aside(site)
    }


def _plated(pair: Pair, role: str, batch: Batch, num_draws: int, free: bool = False) -> Any:
    program = pair.program(role, batch)
    program = poutine.uncondition(program) if free else program
    if num_draws == 1:
        return program
    return pyro.plate("particles", num_draws, dim=-1 - (pair.scope.plate_nesting or 0))(program)


def _latent(sites: list[tuple[str, Site]]) -> list[tuple[str, Site]]:
    return [(n, site) for n, site in sites if not (site["is_observed"] or _is_aside(site))]


def _was_observed(site: Site) -> bool:
    return bool(site["infer"].get("was_observed")) and not _is_aside(site)


def _is_aside(site: Site) -> bool:
    """Whether a site is no variable of the model: auxiliary, or computed from others."""
    return bool({"auxiliary", "is_auxiliary", "_deterministic"} & site["infer"].keys())


def _named(name: str, site: Site, num_rows: int) -> xr.DataArray:
    """A site's value, (draw, row, plates, event); the event of z is z_dim, or z_dim_0, ..."""
    array = labelled(site["value"], name, site, num_rows)
    # A site outside of a plate has a dimension of size 1 in its place.
    array = array.squeeze([dim for dim in array.dims if str(dim).startswith(f"{name}_batch_")])
    events = [dim for dim in array.dims if dim == "pixel" or str(dim).startswith(f"{name}_")]
    new = [f"{name}_dim"] if len(events) == 1 else [f"{name}_dim_{i}" for i in range(len(events))]
    array = array.rename(dict(zip(events, new, strict=True)))
    if "particles" in array.dims:
        array = array.rename(particles="draw")
    else:
        array = array.expand_dims("draw")
    return array.transpose("draw", "row", ..., missing_dims="ignore")


def _log_likelihoods(terms: LogTerms) -> Arrays:
    """Log p(x|z) by observed site, labels of the model alone summed under p(y|z), (draw, row)."""
    labels = torch.as_tensor(sum(terms.prior.values()))
    dims = list(range(labels.dim() - 2))
    arrays = {}
    for name, of_site in terms.likelihood.items():
        of_draws = of_site
        if dims:
            of_draws = (of_site + labels).logsumexp(dims) - labels.logsumexp(dims)
        arrays[name] = _by_draw_and_row(of_draws.expand(terms.num_particles, terms.batch_size))
    return arrays


def _log_weight(terms: LogTerms) -> xr.DataArray:
    if not terms.has_global:
        return _by_draw_and_row(terms.marginal)
    together = terms.marginal.sum(1) + terms.global_weight
    return xr.DataArray(together.cpu().numpy(), dims=["draw"])


def _by_draw_and_row(values: Tensor) -> xr.DataArray:
    return xr.DataArray(values.cpu().numpy(), dims=["draw", "row"])
