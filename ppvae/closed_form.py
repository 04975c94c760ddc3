"""KL divergences in closed form, by site."""

from __future__ import annotations

from typing import Any

import torch
from pyro.poutine.util import prune_subsample_sites
from torch import Tensor
from torch.distributions import kl_divergence

from ppvae.sites import Layout, latent_sites
from ppvae.tracing import Traces

__all__ = ["closed_form_kl"]


def closed_form_kl(traces: Traces, layout: Layout) -> dict[str, Tensor]:
    """KL(q || p) by latent site in nats, (C, ..., K, B), where PyTorch or Pyro has a formula.

    Raises:
        ValueError: guide and model sample their latent sites in different orders, so that the
            formula at one site would condition on what comes later in the guide.
    """
    model, guide = (latent_sites(prune_subsample_sites(trace)) for trace in traces)
    shared = [name for name in guide if name in model]
    if shared != [name for name in model if name in guide]:
        raise ValueError(
            "a KL in closed form needs model and guide to sample in one order; "
            f"model has {[n for n in model if n in guide]}, guide has {shared} "
            "(the sampled KL, of elbo or Trace_ELBO, has no such need)."
        )
    summed = [layout.enumerated_dim(site) for name, site in model.items() if name not in guide]
    kl: dict[str, Tensor] = {}
    for name in shared:
        site = guide[name]
        if not layout.is_local(site) or "_enumerate_dim" in site["infer"]:
            continue
        try:
            divergence = kl_divergence(*_broadcast(site["fn"], model[name]["fn"]))
        except NotImplementedError:
            continue
        term = layout.reduced(site, divergence)
        # A prior given a label that only the model sums out is a mixture: it has no formula.
        if not any(dim and term.dim() >= -dim and term.shape[dim] > 1 for dim in summed):
            kl[name] = term
    return kl


def _broadcast(first: Any, second: Any) -> tuple[Any, Any]:
    """Both distributions in one batch shape: some of PyTorch's formulas index one by the other."""
    if first.batch_shape == second.batch_shape:
        return first, second
    shape = torch.broadcast_shapes(first.batch_shape, second.batch_shape)
    return first.expand(shape), second.expand(shape)
