"""Whether particles drawn together score as each does alone."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn

from ppvae.pair import Batch, Pair
from ppvae.rerun import density_needed
from ppvae.terms import LogTerms
from ppvae.tracing import rehearsal, trace_pair

__all__ = ["mixed_particles"]


def mixed_particles(pair: Pair, batch: Batch) -> list[str]:
    """Log-densities of two particles drawn together, against the same two one by one."""
    modules = [module for each in pair.modules.values() for module in each.modules()]
    modes = {module: module.training for module in modules}
    vectorized = pair.scope.vectorized
    pair.train(False)
    try:
        with rehearsal(pair), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _make_uneven(modules)
            together = LogTerms(pair, batch, trace_pair(pair, batch, 2), 2)
            if pair.scope.vectorized is False:
                return []
            with density_needed():
                alone, again = together.one_by_one(), together.one_by_one()
    except ValueError:
        # A guide that cannot be scored at a given draw has nothing to be compared with.
        return []
    finally:
        # Whoever draws several particles finds out again, and says so if it must loop.
        pair.scope.vectorized = vectorized
        for module, mode in modes.items():
            module.training = mode
    if _first_difference(alone, again):
        # Nor has a program that draws by itself: it scores otherwise each time.
        return []
    name = _first_difference(together, alone)
    if name is None:
        return []
    return [
        f"site '{name}' must score two particles as it scores each alone; it does not "
        "(a layer mixes particles or rows, such as BatchNorm1d on (K, B, D))."
    ]


def _first_difference(terms: LogTerms, others: LogTerms) -> str | None:
    for kind in ("likelihood", "prior", "posterior"):
        for name, term in getattr(terms, kind).items():
            other = getattr(others, kind)[name]
            size = torch.maximum(term.abs(), other.abs()).clamp(min=1.0)
            if bool(((term - other).abs() > 1e-3 * size).any()):
                return str(name)
    return None


def _make_uneven(modules: list[nn.Module]) -> None:
    """Give batch norms running means as after training: new ones treat all features alike."""
    for module in modules:
        mean = getattr(module, "running_mean", None)
        if isinstance(mean, Tensor):
            mean.copy_(torch.linspace(-1.0, 1.0, mean.numel()))
