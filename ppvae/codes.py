"""Codes of data and data of codes: the guide's q(z|x) and the model's p(x|z) by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
import xarray
from pyro import poutine
from torch import Tensor

from ppvae.ancestral import Site, model_trace, random_sites, traced
from ppvae.means import NUM_DRAWS, is_discrete, labelled, observed_means
from ppvae.pair import Batch, Pair, as_batch
from ppvae.passes import as_pair, at_rest, select_rows, size_of

__all__ = [
    "Code",
    "Moments",
    "code_of",
    "decoded",
    "encode",
    "is_local",
    "posterior",
    "reconstruct",
]


class Moments(NamedTuple):
    """Mean and standard deviation of a latent site, how they were got, and the site."""

    loc: Tensor
    scale: Tensor
    how: str
    site: Site


class Code(NamedTuple):
    """A value of a latent site, (B, *event), the site, and whether it is discrete."""

    value: Tensor
    site: Site
    is_discrete: bool


def encode(run: Any, batch: Any, *, seed: int = 0) -> xarray.Dataset:
    """Mean and standard deviation of q(z|x) for each row.

    They are the formula of the guide's distribution where it has one. The second site of a layered
    guide has none, as its distribution depends on what the first one drew: there, and for a flow,
    they are the moments of 100 draws of the guide.

    Args:
        run: a run, a Pair or a tuple (model, guide).
        batch: a tensor x, (B, ...), or named fields.
        seed: of draws, where there are any.

    Returns:
        ``z_loc`` and ``z_scale``, (row, latent), for each latent site z; ``attrs["how"]`` says
        "mean" or "average of 100 draws".
    """
    pair = as_pair(run)
    with at_rest(pair, seed) as device:
        rows = select_rows(as_batch(batch), slice(None), device)
        moments = posterior(pair, rows, {})
    return xarray.Dataset(_arrays(moments, size_of(rows)), attrs={"seed": seed})


def reconstruct(run: Any, batch: Any, *, seed: int = 0) -> xarray.Dataset:
    """The mean of p(x|z) at z = mean of q(z|x), for each row.

    Discrete latent sites have no mean that the model could read: they stay at one draw.

    Args:
        run: a run, a Pair or a tuple (model, guide).
        batch: a tensor x, (B, ...), or named fields.
        seed: of draws, where there are any.

    Returns:
        ``x_mean``, (row, pixel); ``x_mean.attrs["how"]`` tells a mean from an average of draws.
    """
    pair = as_pair(run)
    with at_rest(pair, seed) as device:
        rows = select_rows(as_batch(batch), slice(None), device)
        codes = {name: code.value for name, code in code_of(pair, rows).items()}
        means = decoded(pair, rows, codes)
    return xarray.Dataset(means, attrs={"seed": seed})


def posterior(pair: Pair, batch: Batch, given: Mapping[str, Tensor]) -> dict[str, Moments]:
    """Moments of q(z|x) by latent site, with the given sites held."""
    sites = _free_sites(pair, batch, given)
    found, drawn = {}, []
    for place, (name, site) in enumerate(sites.items()):
        # Behind the first site, a distribution stands under what was drawn before it.
        closed = _closed(site["fn"]) if place == 0 else None
        if closed is not None:
            found[name] = Moments(*closed, "mean", site)
        else:
            drawn.append(name)
    if drawn:
        runs = [_free_sites(pair, batch, given) for _ in range(NUM_DRAWS)]
        for name in drawn:
            draws = torch.stack([run[name]["value"] * 1.0 for run in runs])
            how = f"average of {NUM_DRAWS} draws"
            found[name] = Moments(draws.mean(0), draws.std(0), how, sites[name])
    return {name: found[name] for name, site in sites.items() if not _is_auxiliary(site)}


def code_of(pair: Pair, batch: Batch) -> dict[str, Code]:
    """One code for each row: the mean of q(z|x), and of discrete sites a draw, by latent site.

    A discrete site of the guide alone, as the component of a mixture, is drawn and left out.
    """
    sites = _free_sites(pair, batch, {})
    discrete = {name: site for name, site in sites.items() if is_discrete(site["fn"])}
    held = {name: site["value"] for name, site in discrete.items()}
    # Held, so that the means of the other sites are those that go with these values.
    moments = posterior(pair, batch, held)
    return {
        name: Code(held[name], site, True) if name in held else Code(moments[name].loc, site, False)
        for name, site in sites.items()
        if (name in held or name in moments) and not _is_auxiliary(site)
    }


def decoded(pair: Pair, batch: Batch, codes: Mapping[str, Tensor]) -> dict[str, xarray.DataArray]:
    """The mean of p(x|z) at given codes, as "x_mean" for the observed site x."""
    trace = model_trace(pair, batch, codes, keep_observed=True)
    return observed_means(trace, codes, size_of(batch))


def is_local(site: Site, num_rows: int) -> bool:
    """Whether a site has one value per row, its rows in front."""
    return any(
        frame.vectorized and frame.size == num_rows and frame.dim == -len(site["fn"].batch_shape)
        for frame in site["cond_indep_stack"]
    )


def _is_auxiliary(site: Site) -> bool:
    """Whether the guide alone has the site."""
    return bool({"auxiliary", "is_auxiliary"} & site["infer"].keys())


def _free_sites(pair: Pair, batch: Batch, given: Mapping[str, Tensor]) -> dict[str, Site]:
    guide = poutine.condition(pair.program("guide", batch), data=dict(given))
    return {name: site for name, site in random_sites(traced(guide)) if not site["is_observed"]}


def _closed(distribution: Any) -> tuple[Tensor, Tensor] | None:
    try:
        loc, scale = distribution.mean, distribution.stddev
    except NotImplementedError:
        return None
    return (loc, scale) if loc.isfinite().all() and scale.isfinite().all() else None


def _arrays(moments: Mapping[str, Moments], num_rows: int) -> dict[str, xarray.DataArray]:
    arrays = {}
    for name, (loc, scale, how, site) in moments.items():
        for part, value in (("loc", loc), ("scale", scale)):
            arrays[f"{name}_{part}"] = labelled(
                value, name, site, num_rows, only_latent=len(moments) == 1, how=how
            )
    return arrays
