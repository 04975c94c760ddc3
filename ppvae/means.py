"""Means of distributions, and values of sites as arrays with named dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import xarray
from pyro import poutine
from torch import Tensor

from ppvae.ancestral import Site, random_sites

__all__ = ["NUM_DRAWS", "is_discrete", "labelled", "mean_of", "observed_means"]

NUM_DRAWS = 100


def mean_of(distribution: Any, num_draws: int = NUM_DRAWS) -> tuple[Tensor, str]:
    """The mean of a distribution where it is defined and finite, else an average of draws.

    Args:
        distribution: of batch and event shape (...); a transformed one has no mean, a categorical
            one has mean NaN.
        num_draws: how many draws are averaged; fewer where a distribution says by an attribute
            ``draws_for_mean`` that its draws are dear.

    Returns:
        The mean, (...), and "mean", "average of 100 draws" or "one draw".
    """
    try:
        mean: Tensor = distribution.mean
        if mean.isfinite().all():
            return mean, "mean"
    except NotImplementedError:
        pass
    num_draws = min(num_draws, getattr(distribution, "draws_for_mean", num_draws))
    total = sum(distribution.sample() * 1.0 for _ in range(num_draws))
    how = f"average of {num_draws} draws" if num_draws > 1 else "one draw"
    return torch.as_tensor(total / num_draws), how


def observed_means(
    trace: poutine.Trace, given: Mapping[str, Tensor], num_rows: int
) -> dict[str, xarray.DataArray]:
    """The mean of each site that the model observes and that is not given, as "x_mean" for x."""
    means = {}
    for name, site in random_sites(trace):
        infer = site["infer"]
        observed = infer.get("was_observed") or (site["is_observed"] and name not in given)
        if observed and not infer.get("_deterministic"):
            mean, how = mean_of(site["fn"])
            means[f"{name}_mean"] = labelled(mean, name, site, num_rows, how=how)
    return means


def labelled(
    value: Tensor, name: str, site: Site, num_rows: int, *, only_latent: bool = False, **attrs: Any
) -> xarray.DataArray:
    """A value of a site's shape with names for its dimensions.

    The data plate is "row", other plates keep their names; the event dimension of x is "pixel",
    that of the only latent site "latent", all others carry the name of the site.
    """
    batch_dim = len(site["fn"].batch_shape)
    frames = [frame for frame in site["cond_indep_stack"] if frame.vectorized]
    plates = {frame.dim: frame.name for frame in frames}
    rows = [frame for frame in frames if frame.size == num_rows]
    if rows:
        plates[max(rows, key=lambda frame: (frame.name == "data", frame.dim)).dim] = "row"
    dims = [plates.get(dim, f"{name}_batch_{-dim}") for dim in range(-batch_dim, 0)]
    event_dim = value.dim() - batch_dim
    events = [f"{name}_{i}" for i in range(event_dim)]
    if event_dim == 1 and (name == "x" or only_latent):
        events = ["pixel" if name == "x" else "latent"]
    return xarray.DataArray(value.detach().cpu().numpy(), dims=[*dims, *events], attrs=attrs)


def is_discrete(fn: Any) -> bool:
    """Whether a distribution puts probability on single values."""
    try:
        return bool(fn.support.is_discrete)
    except NotImplementedError:
        # A distribution of one's own need not name its support; its values are then numbers.
        return False
