"""Where a run met NaN or infinity."""

from __future__ import annotations

from collections.abc import Mapping

import pyro
import torch
from pyro.poutine import Trace
from torch import Tensor

from ppvae.pair import Batch, Pair
from ppvae.rerun import noise_put_back
from ppvae.tracing import buffers_put_back, trace_pair

__all__ = ["NotFiniteError", "bad_gradient", "bad_parameter", "bad_site", "first_bad"]


class NotFiniteError(ArithmeticError):
    """Training met NaN or infinity; the message names where."""


def bad_site(pair: Pair, batch: Batch, num_particles: int = 1) -> str | None:
    """The first site, in the order of running, that is not finite, in words; None if all are."""
    with pair.entered(), torch.no_grad(), pyro.validation_enabled(False):
        for model, guide in trace_pair(pair, batch, num_particles):
            found = _first(guide, "guide") or _first(model, "model")
            if found is not None:
                return found
    return None


def first_bad(pair: Pair, batch: Batch, num_particles: int, noise: dict[str, Tensor]) -> str | None:
    """As :func:`bad_site`, of a computation that began with this noise; nothing is moved."""
    with noise_put_back(noise), buffers_put_back(pair):
        return bad_site(pair, batch, num_particles)


def bad_gradient(leaves: Mapping[str, Tensor]) -> str | None:
    """The first parameter whose gradient is not finite, in words; None if all are."""
    for name, leaf in leaves.items():
        if leaf.grad is not None and not bool(torch.isfinite(leaf.grad).all()):
            return f"the gradient of parameter '{name}' is {_what(leaf.grad)}"
    return None


def bad_parameter(leaves: Mapping[str, Tensor]) -> str | None:
    """The first parameter that is not finite, in words; None if all are."""
    for name, leaf in leaves.items():
        if not bool(torch.isfinite(leaf).all()):
            return f"parameter '{name}' is {_what(leaf)}"
    return None


def _first(trace: Trace, role: str) -> str | None:
    for name, site in trace.nodes.items():
        if site["type"] != "sample" or not hasattr(site["fn"], "log_prob"):
            continue
        if type(site["fn"]).__name__ == "_Subsample":
            continue
        parts = {
            "value": site["value"],
            "log-density": site["fn"].log_prob(site["value"], *site["args"], **site["kwargs"]),
        }
        for part, tensor in {**_parameters(site["fn"]), **parts}.items():
            fine = torch.isfinite(tensor)
            if part == "value" and site["is_observed"]:
                fine = fine | _hidden(site["fn"], tensor)
            if part == "log-density" and "_enumerate_dim" in (site["infer"] or {}):
                # A label that is ruled out, as all but the known one of a row are, is in no sum.
                fine = fine | tensor.isneginf()
            if not bool(fine.all()):
                return f"site '{name}' of the {role} has {part} {_what(tensor)}"
    return None


def _hidden(fn: object, value: Tensor) -> Tensor:
    """Where a distribution, which may mask rows or single values, does not look."""
    hidden = torch.zeros_like(value, dtype=torch.bool)
    while hasattr(fn, "base_dist"):
        mask = getattr(fn, "_mask", None)
        if isinstance(mask, Tensor):
            hidden = hidden | ~mask.reshape(*mask.shape, *(1,) * (value.dim() - mask.dim()))
        fn = fn.base_dist
    return hidden


def _parameters(fn: object) -> dict[str, Tensor]:
    while hasattr(fn, "base_dist"):
        fn = fn.base_dist
    names = getattr(fn, "arg_constraints", {})
    # Of logits and probs only one was given; asking for the other would compute it.
    found = {name: vars(fn).get(name) for name in names}
    return {name: value for name, value in found.items() if isinstance(value, Tensor)}


def _what(tensor: Tensor) -> str:
    return "nan" if bool(torch.isnan(tensor).any()) else "infinite"
