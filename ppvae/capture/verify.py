"""Whether a graph gives what the Python it was made from gives, from the same state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ppvae.generators import generator_states, restore_generators

__all__ = ["EXACT", "Rounding", "State", "difference"]

# Of the norm of what was computed, where a compiler may round in another order: ten times what
# gradients of 50 weighed draws were seen to differ by in float32.
_ROUNDING = {torch.float64: 1e-10, torch.float32: 1e-4}
_ROUNDING_OF_HALVES = 5e-2
# Rounding may take a number to the other side of a kink, and with it one of the many terms of a
# gradient away: 3e-3 was seen, of two layers of 500 ReLU at 640 weighed draws.
_AT_KINKS = {torch.float64: 1e-6, torch.float32: 5e-2}
# A gradient that nearly cancels is as rough as what it is the sum of: a hundredth of that is added.
_OF_ALL = 1e-2


class Rounding(NamedTuple):
    """How far values may be off: relative to their norm, and in absolute terms; 0 is not at all.

    Attributes:
        relative, absolute: of all values.
        of_numbers: the part of it that single numbers may be off by: a loss has no kinks.
    """

    relative: float = 0.0
    absolute: float = 0.0
    of_numbers: float = 1.0

    @classmethod
    def of(cls, outputs: Any, kinks: bool = False) -> Rounding:
        """What a compiler may change of outputs by adding in another order.

        Args:
            outputs: tensors in any nesting.
            kinks: whether slopes of functions with kinks are in them.
        """
        floats = [
            each for each in _leaves(outputs) if each is not None and each.is_floating_point()
        ]
        tight = _largest(_ROUNDING, floats)
        relative = max(tight, _largest(_AT_KINKS, floats)) if kinks else tight
        total = sum(float(each.double().norm()) ** 2 for each in floats) ** 0.5
        return cls(relative, _OF_ALL * relative * total, tight / relative if relative else 1.0)

    def bound(self, truth: Tensor) -> Tensor:
        """How far a tensor may be off in norm, ()."""
        part = 1.0 if truth.dim() else self.of_numbers
        return part * (self.relative * truth.double().norm() + self.absolute)


def _largest(table: Mapping[torch.dtype, float], values: list[Tensor]) -> float:
    return max((table.get(each.dtype, _ROUNDING_OF_HALVES) for each in values), default=0.0)


EXACT = Rounding()


class State:
    """What a computation may move without giving it back: generators, and tensors in place.

    Args:
        tensors: by name, those that may be moved.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._generators = generator_states()
        self._tensors = [(n, tensor, tensor.detach().clone()) for n, tensor in tensors.items()]

    def put_back(self) -> None:
        """Make everything as it was."""
        restore_generators(self._generators)
        with torch.no_grad():
            for _, tensor, value in self._tensors:
                # Most were only read, and some of these cannot be written to.
                if not _agree(tensor, value, EXACT):
                    tensor.copy_(value)

    def put_back_generators(self) -> None:
        """Let draws come again."""
        restore_generators(self._generators)

    @property
    def foreign_draws(self) -> bool:
        """Whether Python's or NumPy's generator has moved since."""
        now = generator_states()
        return any(
            not torch.equal(value, now[name])
            for name, value in self._generators.items()
            if name.startswith(("python", "numpy")) and not value.isnan().any()
        )

    def differs(self, rounding: Rounding) -> str | None:
        """What is another value now, in words; None if nothing is, up to rounding."""
        now = generator_states()
        for name, state in self._generators.items():
            if not name.endswith("cached") and not torch.equal(state, now[name]):
                return f"it takes other noise from {name}'s generator"
        for name, tensor, value in self._tensors:
            if not _agree(tensor.detach(), value, rounding):
                return f"it moves {name} differently"
        return None


def difference(given: Any, truth: Any, rounding: Rounding) -> str | None:
    """How outputs differ from the true ones, in words; None if they agree.

    Args:
        given: tensors in any nesting.
        truth: of the same nesting.
        rounding: how far they may be off.
    """
    ours, theirs = (_leaves(each) for each in (given, truth))
    if len(ours) != len(theirs):
        return f"it gives {len(ours)} values for {len(theirs)}"
    for one, other in zip(ours, theirs, strict=True):
        if one is None or other is None:
            if one is not other:
                return "it gives a gradient where there is none, or none where there is one"
        elif _lies(one) != _lies(other):
            # A fused optimizer reads gradients in the order in which they lie in memory.
            return "it lays out its numbers differently"
        elif not _agree(one, other, rounding):
            error = (one.double() - other.double()).abs().max() if one.numel() else 0.0
            return f"its numbers differ from those of the program by {float(error):.1g}"
    return None


def _leaves(values: Any) -> list[Tensor | None]:
    found = pytree.tree_flatten(values, is_leaf=lambda value: value is None)[0]
    return [each if each is None else torch.as_tensor(each).detach() for each in found]


def _lies(tensor: Tensor) -> list[int]:
    """How a tensor lies in memory."""
    return [step for step, size in zip(tensor.stride(), tensor.shape, strict=True) if size > 1]


def _agree(one: Tensor, other: Tensor, rounding: Rounding) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    # NaN where there was NaN is agreement: what is wrong is wrong in both.
    same = (one == other) | ((one != one) & (other != other))
    if bool(same.all()):
        return True
    if rounding == EXACT or not one.is_floating_point():
        return False
    return bool((one - other).double().norm() <= rounding.bound(other))
