"""What each estimator's gradient is held against: the exact one, or the best of the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pyro.infer
import torch
from torch import Tensor

from ppvae.bench.blocks import Blocks
from ppvae.estimators import Estimator
from ppvae.estimators.iwae import target_of_draws
from ppvae.exact import exact_on, knows
from ppvae.named import name_of
from ppvae.pair import Batch
from ppvae.scope import Program

__all__ = ["EXACT", "biased_for", "claims_unbiased", "exact_gradients", "exact_of", "target"]

# The fields of an experiment, by the targets that they know exactly, with the sign to be raised.
EXACT = {
    "ELBO": ("elbo", 1.0),
    "log p(x)": ("log_evidence", 1.0),
    "inclusive KL": ("cross_entropy", -1.0),
}
_PLAIN = (
    pyro.infer.Trace_ELBO,
    pyro.infer.TraceMeanField_ELBO,
    pyro.infer.TraceGraph_ELBO,
    pyro.infer.TraceEnum_ELBO,
)


def target(estimator: pyro.infer.ELBO, role: str) -> str:
    """What the gradient of the model's or the guide's parameters is meant to be that of."""
    if isinstance(estimator, Estimator):
        return estimator.target(role)
    if isinstance(estimator, _PLAIN):
        return "ELBO"
    if isinstance(estimator, pyro.infer.RenyiELBO) and estimator.alpha == 0:
        return target_of_draws(estimator.num_particles)
    return f"own: {name_of(estimator)}"


def claims_unbiased(estimator: pyro.infer.ELBO, role: str) -> bool:
    """Whether the mean gradient is that of the target, by what is known of the estimator."""
    words = target(estimator, role)
    if role == "model" and (words == "ELBO" or words.startswith("L_")):
        return True
    return words not in ("inclusive KL", "log p(x)") and biased_for(estimator) is None


def biased_for(estimator: pyro.infer.ELBO) -> str | None:
    """What an estimator says of itself where its gradient is another one than its bound's."""
    return estimator.biased_for() if isinstance(estimator, Estimator) else None


def exact_gradients(
    known: Mapping[str, Callable[[Tensor], Tensor] | None],
    batch: Batch,
    blocks: Blocks,
    model: Program,
) -> dict[str, dict[str, Tensor]]:
    """The exact gradients of the mean per datum by target and parameter, to be followed upwards.

    Args:
        known: the exact fields of an experiment by name, from x (B, P) to (B,) nats.
        batch: rows.
        blocks: the parameters.
        model: p; where it heeds a mask of the rows, a function that knows none is left out.
    """
    found = {}
    leaves = blocks.leaves
    for words, (field, sign) in EXACT.items():
        function = known.get(field)
        if function is None or not knows(function, batch, model):
            continue
        value = sign * exact_on(function, batch, model).mean()
        if not value.requires_grad:
            continue
        each = torch.autograd.grad(value, list(leaves.values()), allow_unused=True)
        found[words] = {
            name: torch.zeros_like(leaf) if gradient is None else gradient.detach()
            for (name, leaf), gradient in zip(leaves.items(), each, strict=True)
        }
    return found


def exact_of(
    estimator: pyro.infer.ELBO,
    block: str,
    blocks: Blocks,
    exact: Mapping[str, Mapping[str, Tensor]],
) -> dict[str, Tensor] | None:
    """The exact gradient of each parameter of a block; None if that of one is unknown."""
    found = {}
    for name in blocks.names[block]:
        words = {target(estimator, role) for role in blocks.roles[name]}
        if len(words) != 1 or not words <= exact.keys():
            return None
        found[name] = exact[words.pop()][name]
    return found
