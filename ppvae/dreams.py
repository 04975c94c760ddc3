"""Dreams: codes and data drawn from the model, of which the guide is asked for the codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from pyro import poutine
from pyro.distributions import MaskedDistribution
from torch import Tensor

from ppvae.ancestral import Site, model_trace, random_sites
from ppvae.given import given_terms
from ppvae.pair import Batch, Pair
from ppvae.terms import LogTerms
from ppvae.tracing import buffers_put_back

__all__ = ["dreamt_terms"]


def dreamt_terms(pair: Pair, batch: Batch) -> LogTerms:
    """Log-densities at z and x drawn from the model, p(z) p(x|z), one for each row, (1, B) nats.

    The model is the user's own program, run with the observed sites drawn; what it reads beside
    the data (labels, indices) stays as it is in the batch. The draws have no gradient, and running
    statistics stay as they are.

    Args:
        pair: model and guide; it was run before.
        batch: positional arguments and named fields.

    Raises:
        ValueError: a site of the model cannot be drawn, or is masked; what it observes is no field
            of the batch; or the guide has a latent site that the model has not.
    """
    with pair.entered(), buffers_put_back(pair):
        with torch.no_grad():
            trace = model_trace(pair, batch, {})
        _refuse_undrawn(trace)
        observed = {n: s for n, s in random_sites(trace) if s["infer"].get("was_observed")}
        latent = {n: s["value"] for n, s in random_sites(trace) if n not in observed}
        return given_terms(pair, _dreamt_batch(batch, observed), latent)


def _refuse_undrawn(trace: poutine.Trace) -> None:
    """Refuse sites whose draws do not follow the density that the model gives them."""
    sites: list[tuple[str, Any]] = [(n, s) for n, s in trace.nodes.items() if s["type"] == "sample"]
    for name, site in sites:
        if site["infer"].get("auxiliary"):
            continue
        if site["mask"] is not None or _is_masked(site["fn"]):
            raise ValueError(
                f"a dream must draw every site as it is scored; got a mask on {name!r}."
            )
        if not torch.as_tensor(site["value"]).numel():
            raise ValueError(f"a dream must draw every site; got a factor, {name!r}.")


def _is_masked(distribution: Any) -> bool:
    while distribution is not None:
        if isinstance(distribution, MaskedDistribution):
            return True
        distribution = getattr(distribution, "base_dist", None)
    return False


def _dreamt_batch(batch: Batch, observed: Mapping[str, Site]) -> Batch:
    """The batch with what the model observes replaced by what it drew."""
    args, fields = batch
    for name, site in observed.items():
        if site["infer"].get("auxiliary"):
            continue
        data, dreamt = site["infer"]["obs"], site["value"]
        if not any(_is_same(value, data) for value in (*args, *fields.values())):
            raise ValueError(
                f"a dream must replace what the model observes at {name!r}, a field of the batch; "
                f"got something computed from {sorted(fields) or 'its arguments'}."
            )
        args = tuple(_replaced(value, data, dreamt) for value in args)
        fields = {key: _replaced(value, data, dreamt) for key, value in fields.items()}
    return args, fields


def _replaced(value: Any, data: Tensor, dreamt: Tensor) -> Any:
    return dreamt.to(value.dtype).reshape(value.shape) if _is_same(value, data) else value


def _is_same(value: Any, data: Any) -> bool:
    """Whether two tensors are the same numbers in memory; a GPU is not asked for them."""
    if value is data:
        return True
    return (
        isinstance(value, Tensor)
        and isinstance(data, Tensor)
        and value.data_ptr() == data.data_ptr()
        and value.numel() == data.numel()
        and value.is_contiguous()
        and data.is_contiguous()
    )
