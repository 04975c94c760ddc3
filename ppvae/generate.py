"""New data from a model: its own program run with every site drawn, or some of them held."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import xarray
from torch import Tensor

from ppvae.ancestral import model_trace, random_sites
from ppvae.means import labelled, observed_means
from ppvae.pair import Batch, Pair, as_batch
from ppvae.passes import as_pair, at_rest, held_on, select_rows, size_of

__all__ = ["generate", "rows_like", "sample"]


def generate(
    model: Any,
    like: Any,
    given: Mapping[str, Tensor] | None = None,
    *,
    seed: int = 0,
) -> dict[str, Tensor]:
    """The values of all sites in one pass of the model, the observed site drawn too.

    Args:
        model: a model, which runs with the params of Pyro's store; or a run, a Pair or a tuple
            (model, guide), which runs with its own.
        like: a batch, (B, ...) or named fields, of which the model's sites take their shape.
        given: values by site, each of the shape of its site, that are held fixed.
        seed: of the draws; the global generators stay as they are.

    Returns:
        Values by sample site, in the order of the model.

    Raises:
        ValueError: given names no site of the model or has another shape than the site, or a
            site's distribution cannot be drawn from.

    Example:
        >>> import pyro, pyro.distributions as dist, torch
        >>> def model(x):
        ...     with pyro.plate("data", len(x), dim=-1):
        ...         z = pyro.sample("z", dist.Normal(torch.zeros(()), 1.0))
        ...         pyro.sample("x", dist.Normal(10 * z, 0.001), obs=x)
        >>> values = generate(model, torch.zeros(2), given={"z": torch.tensor([1.0, 2.0])})
        >>> values["x"].round()
        tensor([10., 20.])
    """
    bare = callable(model) and not isinstance(model, Pair) and not hasattr(model, "pair")
    pair = Pair(model, model) if bare else as_pair(model)
    with at_rest(pair, seed, scoped=not bare) as device:
        batch = select_rows(as_batch(like), slice(None), device)
        held = held_on(device, given)
        return {n: s["value"] for n, s in random_sites(model_trace(pair, batch, held))}


def sample(
    run: Any,
    num_rows: int = 64,
    *,
    like: Any = None,
    given: Mapping[str, Tensor] | None = None,
    seed: int = 0,
) -> xarray.Dataset:
    """Draws from the prior, and data drawn from them.

    Args:
        run: a run, a Pair or a tuple (model, guide).
        num_rows: how many rows are drawn.
        like: a batch whose rows, repeated as needed, stand for the fields that the model takes (a
            conditional model reads its labels there); a run's training rows if not given.
        given: values by site, (num_rows, ...), that are held fixed.
        seed: of the draws.

    Returns:
        The latent sites, (row, latent), x drawn and ``x_mean``, the mean of p(x|z), both
        (row, pixel). ``x_mean.attrs["how"]`` tells a mean from an average of draws.

    Raises:
        ValueError: num_rows is below 1, there are no rows to be like, given does not fit the
            model, or the prior cannot be drawn from.
    """
    if num_rows < 1:
        raise ValueError(f"num_rows must be at least 1; got {num_rows}.")
    pair, like = as_pair(run), rows_like(run, like)
    with at_rest(pair, seed) as device:
        batch = select_rows(like, torch.arange(num_rows) % size_of(like), device)
        held = held_on(device, given)
        trace = model_trace(pair, batch, held)
        sites = random_sites(trace)
        latents = [name for name, site in sites if not site["infer"].get("was_observed")]
        values = {
            name: labelled(site["value"], name, site, num_rows, only_latent=latents == [name])
            for name, site in sites
        }
        means = observed_means(trace, held, num_rows)
    return xarray.Dataset(values | means, attrs={"seed": seed})


def rows_like(run: Any, like: Any) -> Batch:
    """The batch that is given, else the training rows of a run.

    Raises:
        ValueError: there is neither.
    """
    if like is not None:
        return as_batch(like)
    if not hasattr(run, "data"):
        raise ValueError("like must be a batch where no run with data is given; got None.")
    return as_batch(run.data.train)
