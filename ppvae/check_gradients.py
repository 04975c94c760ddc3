"""Which parameters of a pair a gradient reaches, and which networks nobody made known."""

from __future__ import annotations

import torch
from torch import Tensor

from ppvae.pair import Batch, Pair
from ppvae.terms import LogTerms
from ppvae.tracing import kept_as_it_was, trace_pair

__all__ = ["gradient_findings"]


def gradient_findings(pair: Pair, batch: Batch) -> tuple[list[str], list[str]]:
    """Problems and remarks, in words, from one gradient of the ELBO."""
    with kept_as_it_was(pair), torch.enable_grad():
        terms = LogTerms(pair, batch, trace_pair(pair, batch, 1), 1)
        target = (
            terms.expected(terms.log_weight + terms.auxiliary).sum() + terms.global_weight.sum()
        )
        reached = _reached(target)
    leaves = pair.leaves
    if not leaves and not reached:
        return ["the pair must have a parameter to train; got none."], []
    known = {id(leaf) for leaf in leaves.values()}
    if not any(id(tensor) in known for tensor in reached):
        return [
            "the pair must have a parameter that the objective reaches; got none "
            "(a plain function makes its networks known by pyro.module)."
        ], []
    ids = {id(tensor) for tensor in reached}
    idle = [name for name, leaf in leaves.items() if id(leaf) not in ids]
    remarks = []
    if idle:
        remarks.append(f"no gradient reaches {_listed(idle)}")
    strangers = [tensor for tensor in reached if id(tensor) not in known]
    if strangers:
        shapes = [str(tuple(tensor.shape)) for tensor in strangers]
        remarks.append(
            f"a gradient reaches parameters of shape {_listed(shapes)} that are not trained "
            "(pyro.module makes a network known; requires_grad_(False) keeps it fixed)"
        )
    return [], remarks


def _reached(target: Tensor) -> list[Tensor]:
    """The leaves of the graph behind a value."""
    todo, seen, leaves = [target.grad_fn], set(), []
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            leaves.append(node.variable)
        todo += [parent for parent, _ in node.next_functions]
    return leaves


def _listed(names: list[str], most: int = 4) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
