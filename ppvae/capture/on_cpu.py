"""What compiled code on a CPU does in another way than Inductor would have it, since that is slow.

ATen hands single-precision products to the BLAS that torch was built with, MKL, which on an AMD
processor was seen to be far slower than oneDNN, which torch holds too; for small products the
overhead of the latter is more. The choice is made by shapes alone. And log(1 + x), which the
Bernoulli likelihood takes at each pixel, was seen to take many times as long as log x.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

__all__ = ["log1p", "product_and_other", "through_onednn"]

_MM = torch.ops.aten.mm.default
_ADDMM = torch.ops.aten.addmm.default
_ADD = torch.ops.aten.add.Tensor
_CLONE = torch.ops.aten.clone.default
_TRANSPOSE = torch.ops.aten.t.default
_IN_ROWS: dict[str, Any] = {"memory_format": torch.contiguous_format}

# Multiply-adds from which it was seen to be faster, and the width below which it was not.
_LEAST = 2**22
_NARROW = 32
# Rows of data up to which it pays to pack them, and not the weight.
_FEW = 64


def log1p(x: Tensor) -> Tensor:
    """Log (1 + x), to a few roundings, from log.

    With u = 1 + x as it is rounded, log u x / (u - 1) is near log (1 + x) also where u is not
    near 1 + x.

    Source: Goldberg (1991), What every computer scientist should know about floating-point
    arithmetic, theorem 4.
    """
    u = 1 + x
    rounded = u - 1
    # Where nothing was rounded, infinity among it, log u is the answer.
    correction = torch.where(rounded == x, 1.0, x / rounded)
    return torch.where(u == 1, x, u.log() * correction)


def through_onednn(module: torch.fx.GraphModule, product: Any) -> torch.fx.GraphModule:
    """The same graph, where large products of float32 matrices on the CPU are taken by oneDNN.

    Args:
        module: left as it is.
        product: oneDNN's x W^T + b as an operation of torch.
    """
    graph = copy.deepcopy(module.graph)
    for node in list(graph.nodes):
        if node.target not in (_MM, _ADDMM) or node.kwargs:
            continue
        *bias, left, right = node.args
        shapes = _shapes(left, right)
        if shapes is None or (bias and not _is_row(bias[0])):
            continue
        rows, inner, columns = shapes
        if rows * inner * columns < _LEAST:
            continue
        with graph.inserting_before(node):
            left, right = _dense(left), _dense(right)
            if columns < _NARROW and (rows < _NARROW or bias):
                continue
            if columns < _NARROW or (rows <= _FEW and _lies_turned(right)):
                new = _turned(product, left, right, bias)
            else:
                inputs = (left, graph.call_function(_TRANSPOSE, (right,)), *(bias or (None,)))
                new = graph.call_function(product, (*inputs, "none", [], ""))
        new.meta = dict(node.meta)
        node.replace_all_uses_with(new)
        graph.erase_node(node)
    return torch.fx.GraphModule(module, graph)


def product_and_other(product: Any, lowerings: Any) -> Any:
    """How Inductor is to compile a product that it has joined with a sum or a difference.

    One after the other: joined, it refuses a weight that is no constant.

    Args:
        product: how the product alone is compiled.
        lowerings: how all operations are.
    """
    joined = {"add": torch.ops.aten.add.Tensor, "sub": torch.ops.aten.sub.Tensor}

    def lowered(x: Any, other: Any, weight: Any, bias: Any, attr: str) -> Any:
        return lowerings[joined[attr]](product(x, weight, bias, "none", [], ""), other)

    return lowered


def _turned(product: Any, left: Any, right: Any, bias: list[Any]) -> torch.fx.Node:
    """(A B)^T = B^T A^T, whose second factor is the smaller one: oneDNN packs it anew each time."""
    graph = left.graph
    inputs = (graph.call_function(_TRANSPOSE, (right,)), left, None)
    turned = graph.call_function(product, (*inputs, "none", [], ""))
    turned = graph.call_function(_TRANSPOSE, (turned,))
    # As ATen lays it out: a fused Adam reads a gradient in the order of its memory.
    found = graph.call_function(_CLONE, (turned,), _IN_ROWS)
    return graph.call_function(_ADD, (found, *bias)) if bias else found


def _lies_turned(node: torch.fx.Node) -> bool:
    """Whether the transpose of a matrix lies in rows, as that of a weight does."""
    meta: Any = node.meta["tensor_meta"]
    return tuple(meta.stride) == (1, meta.shape[0])


def _dense(node: torch.fx.Node) -> torch.fx.Node:
    """A matrix without gaps: oneDNN has nothing fast for columns of another, and is then slow."""
    meta: Any = node.meta["tensor_meta"]
    (rows, columns), (down, across) = meta.shape, meta.stride
    if (down, across) in ((columns, 1), (1, rows)):
        return node
    copied = node.graph.call_function(_CLONE, (node,), _IN_ROWS)
    copied.meta = dict(node.meta)
    return copied


def _shapes(left: Any, right: Any) -> tuple[int, int, int] | None:
    """Rows, inner and columns of a product of float32 matrices on the CPU."""
    metas = [node.meta.get("tensor_meta") for node in (left, right)]
    if any(meta is None or meta.dtype is not torch.float32 for meta in metas):
        return None
    (rows, inner), (_, columns) = (tuple(meta.shape) for meta in metas)
    return rows, inner, columns


def _is_row(node: Any) -> bool:
    meta = node.meta.get("tensor_meta")
    return meta is not None and len(meta.shape) == 1
