"""A computation of a pair on a batch, written down once and run without the Python around it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ppvae.capture.internals import compiled, traced
from ppvae.capture.launched import Launched, recorder_for
from ppvae.capture.signature import tensors_of
from ppvae.capturing import CannotCapture

__all__ = ["Compute", "Graph", "Outputs"]

# What is computed: tensors in any nesting of tuples, lists and dicts, None where there is none.
Outputs = Any
Compute = Callable[[Any], Outputs]

_ALIAS = torch.ops.aten.alias.default
_FRESH = torch.ops.aten.lift_fresh_copy.default
# Slopes that jump, by themselves or by a comparison of numbers that are not whole.
_WITH_KINKS = {
    *("threshold_backward", "leaky_relu_backward", "hardtanh_backward", "max_pool2d_with_indices"),
    *("sgn", "sign", "ge", "gt", "le", "lt"),
}


class _Code:
    """Operations, and how they are run; pairs of one build have it in common."""

    def __init__(self, module: torch.fx.GraphModule, shape: Any) -> None:
        self.module = module
        self.shape = shape
        self.compiled: Callable[..., Sequence[Tensor]] | None = None


class Graph:
    """What a computation did on one batch, ready to be done again on another of its kind.

    Args:
        compute: from a batch to tensors.
        batch: arguments and fields, whose tensors are the inputs.
        held: tensors by name that the computation closes over: they are read and written in place.

    Attributes:
        compiled: whether it runs compiled code.
        rounds: whether it adds in another order than Python, and so rounds differently.
        kinks: whether it takes slopes of functions that have kinks, such as ReLU.
        movable: whether it holds no other tensors than those that were named.

    Raises:
        CannotCapture: the computation does what a graph cannot hold.
    """

    def __init__(self, compute: Compute, batch: Any, held: Mapping[str, Tensor]) -> None:
        given = tensors_of(batch)
        known = {id(tensor) for tensor in given}
        named = {name: tensor for name, tensor in held.items() if id(tensor) not in known}
        spec: list[Any] = []

        def flat() -> list[Tensor]:
            leaves: list[Tensor] = []
            spec[:] = [_taken_apart(compute(batch), leaves)]
            return leaves

        module, self.rounds = traced(flat, [*given, *named.values()])
        _simplify(module)
        used = _drop_unused_inputs(module, keep=len(given))
        self._names = [name for name, kept in zip(named, used, strict=True) if kept]
        self._code = _Code(module, *spec)
        self.kinks = any(map(_jumps, module.graph.nodes))
        self.movable = len(named) == len(held) and not _holds_more(module)
        self._hold(held)

    def _hold(self, held: Mapping[str, Tensor]) -> None:
        self._held = [held[name] for name in self._names]
        self._run: Callable[..., Sequence[Tensor]] = self._code.module
        self.compiled = False

    def moved_to(self, held: Mapping[str, Tensor]) -> Graph:
        """The same operations on other tensors of the same names and kinds."""
        moved = copy.copy(self)
        moved._hold(held)
        return moved

    def __call__(self, batch: Any) -> Outputs:
        """The outputs on a batch of the same kind."""
        with torch.no_grad():
            found = self._run(*tensors_of(batch), *self._held)
        return _put_together(self._code.shape, iter(found))

    def compile(self, batch: Any) -> None:
        """Let Inductor compile it, and run the compiled code from now on.

        Raises:
            CannotCapture: the compiler is missing or refuses the graph.
        """
        if self._code.compiled is None:
            self._code.compiled = compiled(self._code.module, [*tensors_of(batch), *self._held])
        self._run = self._code.compiled
        self.compiled = True

    def replay(self) -> None:
        """Run the operations one by one again."""
        self._run = self._code.module
        self.compiled = False

    def launch_one_by_one(self) -> None:
        """Run the operations, compiled or not, without a recording."""
        compiled_code = self._code.compiled if self.compiled else None
        self._run = compiled_code or self._code.module

    def is_launchable(self, batch: Any) -> bool:
        """Whether the device can launch all operations together."""
        return recorder_for([*tensors_of(batch), *self._held]) is not None

    def launch(self, batch: Any) -> None:
        """Record the operations on the device and launch them together from now on.

        Recording runs them: whoever asks puts back what they move.

        Raises:
            CannotCapture: the device cannot record one of them.
        """
        given = tensors_of(batch)
        record = recorder_for([*given, *self._held])
        assert record is not None, "only what is launchable is launched"
        try:
            with torch.no_grad():
                self._run = Launched(self._run, given, self._held, record)
        except RuntimeError as error:
            raise CannotCapture(f"the device cannot record it: {error}") from error


def _taken_apart(values: Any, leaves: list[Tensor]) -> Any:
    """The nesting of values, with True for each tensor that goes into the leaves."""
    if values is None:
        return None
    if isinstance(values, dict):
        return {name: _taken_apart(each, leaves) for name, each in values.items()}
    if isinstance(values, tuple | list):
        return type(values)([_taken_apart(each, leaves) for each in values])
    leaves.append(torch.as_tensor(values).detach())
    return True


def _put_together(shape: Any, leaves: Iterator[Tensor]) -> Any:
    if shape is True:
        return next(leaves)
    if isinstance(shape, dict):
        return {name: _put_together(each, leaves) for name, each in shape.items()}
    if isinstance(shape, tuple | list):
        return type(shape)([_put_together(each, leaves) for each in shape])
    return None


def _simplify(module: torch.fx.GraphModule) -> None:
    """Leave out what has no effect: unused results, and other names for the same tensor.

    Raises:
        CannotCapture: an operation gives as many values as its inputs' values say.
    """
    graph = module.graph
    for node in list(graph.nodes):
        if torch.Tag.dynamic_output_shape in _tags(node.target) and not _by_numbers(node):
            raise CannotCapture(f"{node.target} gives as many values as its input's values say")
        if node.target is _ALIAS:
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)
    for node in reversed(graph.nodes):
        if str(node.target).startswith("profiler."):
            graph.erase_node(node)
    _keep_on_device(module)
    graph.eliminate_dead_code()
    module.recompile()


def _keep_on_device(module: torch.fx.GraphModule) -> None:
    """Bring numbers from the code to their device once, and not in each run."""
    for number, node in enumerate(list(module.graph.nodes)):
        if node.target is not torch.ops.aten._to_copy.default:
            continue
        fresh = node.args[0]
        if not isinstance(fresh, torch.fx.Node) or fresh.target is not _FRESH:
            continue
        if node.kwargs.get("device") is None or any(_writes(user) for user in node.users):
            continue
        constant: Any = fresh.args[0]
        name = f"_on_device{number}"
        module.register_buffer(
            name, getattr(module, constant.target).to(**node.kwargs), persistent=False
        )
        with module.graph.inserting_before(node):
            node.replace_all_uses_with(module.graph.get_attr(name))
        module.graph.erase_node(node)


def _writes(node: torch.fx.Node) -> bool:
    schema = getattr(node.target, "_schema", None)
    return schema is not None and schema.is_mutable


def _jumps(node: torch.fx.Node) -> bool:
    if str(node.target).removeprefix("aten.").partition(".")[0] not in _WITH_KINKS:
        return False
    first: Any = node.args[0]
    meta = first.meta.get("tensor_meta") if isinstance(first, torch.fx.Node) else None
    return meta is None or meta.dtype.is_floating_point


def _tags(target: Any) -> Sequence[Any]:
    return getattr(target, "tags", ())


def _by_numbers(node: torch.fx.Node) -> bool:
    """Whether it is an index by row numbers and not by a mask."""
    if node.target is not torch.ops.aten.index.Tensor:
        return False
    indices: Any = node.args[1]
    metas = [each.meta.get("tensor_meta") for each in indices if each is not None]
    return all(meta is not None and meta.dtype in (torch.long, torch.int) for meta in metas)


def _drop_unused_inputs(module: torch.fx.GraphModule, keep: int) -> list[bool]:
    """Take out inputs that nothing reads after the first few; whether each was left."""
    inputs = [node for node in module.graph.nodes if node.op == "placeholder"][keep:]
    used = [bool(node.users) for node in inputs]
    for node, kept in zip(inputs, used, strict=True):
        if not kept:
            module.graph.erase_node(node)
    module.recompile()
    return used


def _holds_more(module: torch.fx.GraphModule) -> bool:
    """Whether it holds a tensor that was not made from numbers while it was traced."""
    return any(
        user.target is not _FRESH
        for node in module.graph.nodes
        if node.op == "get_attr" and not node.target.startswith("_on_device")
        for user in node.users
    )
