"""An optimizer's move at the end of a graph, which is not compiled with what comes before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx.passes.split_module import split_module

__all__ = ["built"]


def built(
    build: Callable[..., Any], graph: torch.fx.GraphModule, inputs: list[Tensor]
) -> Callable[..., Sequence[Tensor]]:
    """What a compiler builds of all before the optimizer's move, which stays as it is.

    It is one fused operation, from which nothing is gained, and functionalization refuses it.

    Args:
        build: from a graph and examples of its inputs to a function.
        graph: of a step, with or without a move.
        inputs: examples.
    """
    nodes = list(graph.graph.nodes)
    moves = [place for place, node in enumerate(nodes) if _is_move(node)]
    if not moves:
        return build(graph, inputs)
    places = {node: place for place, node in enumerate(nodes)}
    split: Any = split_module(graph, graph, lambda node: int(places[node] >= moves[0]))
    given = dict(zip((n for n in split.graph.nodes if n.op == "placeholder"), inputs, strict=True))
    (call,) = (node for node in split.graph.nodes if node.target == "submod_0")
    split.submod_0 = _Called(build(split.submod_0, [given[each] for each in call.args]))
    return split


class _Called(nn.Module):
    """A function in the place of a part of a graph."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *tensors: Tensor) -> Any:
        return self.function(*tensors)


def _is_move(node: torch.fx.Node) -> bool:
    name = getattr(getattr(node.target, "_schema", None), "name", "")
    return name.startswith(("aten::_fused_", "aten::_foreach_"))
