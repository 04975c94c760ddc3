"""Whether a graph gives what the Python it was made from gives, from the same state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ppvae.generators import generator_states, restore_generators

__all__ = ["State", "difference"]

# Of the norm of what was computed, where a compiler may round in another order: in float32 1e-4,
# ten times what gradients of 50 weighed draws were seen to differ by; in float64 about 1e-10.
_ROUNDING = {torch.float32: 1e-4, torch.float64: 1e-10}


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

    def differs(self, exact: bool) -> str | None:
        """What is another value now, in words; None if nothing is."""
        now = generator_states()
        for name, state in self._generators.items():
            if not name.endswith("cached") and not torch.equal(state, now[name]):
                return f"it takes other noise from {name}'s generator"
        for name, tensor, value in self._tensors:
            if not _agree(tensor.detach(), value, exact):
                return f"it moves {name} differently"
        return None


def difference(given: Any, truth: Any, exact: bool) -> str | None:
    """How outputs differ from the true ones, in words; None if they agree.

    Args:
        given: tensors in any nesting.
        truth: of the same nesting.
        exact: bit for bit; otherwise up to rounding.
    """
    ours, theirs = (_leaves(each) for each in (given, truth))
    if len(ours) != len(theirs):
        return f"it gives {len(ours)} values for {len(theirs)}"
    for one, other in zip(ours, theirs, strict=True):
        if (one is None) != (other is None):
            return "it gives a gradient where there is none, or none where there is one"
        if one is not None and not _agree(one, other, exact):
            error = (one.double() - other.double()).abs().max() if one.numel() else 0.0
            return f"its numbers differ from those of the program by {float(error):.1g}"
    return None


def _leaves(values: Any) -> list[Tensor | None]:
    found = pytree.tree_flatten(values, is_leaf=lambda value: value is None)[0]
    return [each if each is None else torch.as_tensor(each).detach() for each in found]


def _agree(one: Tensor, other: Tensor, exact: bool) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if exact or not one.is_floating_point():
        # NaN where there was NaN is agreement: what is wrong is wrong in both.
        return bool(((one == other) | ((one != one) & (other != other))).all())
    bound = _ROUNDING.get(one.dtype, 1e-2)
    off = (one - other).double().norm()
    same = (one == other) | ((one != one) & (other != other))
    return bool(same.all() or off <= bound * other.double().norm().clamp(min=_tiny(other)))


def _tiny(tensor: Tensor) -> float:
    return torch.finfo(tensor.dtype).tiny
