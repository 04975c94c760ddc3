"""A step as one computation, the optimizer's move in it: for a GPU, where a launch costs most."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ppvae.capture import Captured, Shared
from ppvae.pair import Batch

__all__ = ["Rows", "WholeStep", "pays"]

Gradients = Callable[[Batch], tuple[Any, list[Tensor | None]]]


class Rows(NamedTuple):
    """A batch as numbers of rows, (B,), of named fields, (N, ...)."""

    fields: Mapping[str, Tensor]
    numbers: Tensor

    @property
    def gathered(self) -> Batch:
        """The rows themselves."""
        return (), {name: field[self.numbers] for name, field in self.fields.items()}


class _Numbers(NamedTuple):
    """The same, of fields that lie in their places."""

    numbers: Tensor


def pays(leaves: Iterable[Tensor]) -> bool:
    """Whether a step on these parameters is best launched as a whole."""
    return any(leaf.is_cuda for leaf in leaves)


class WholeStep:
    """Loss, gradients and the optimizer's move, captured together.

    Args:
        gradients: gives the loss and its gradient in each parameter.
        roots: what decides them.
        move: moves the parameters along their ``.grad``.
        leaves: the parameters.
        optimizer: what moves them.
        mode: as :class:`ppvae.capture.Captured` has it.
    """

    def __init__(
        self,
        gradients: Gradients,
        roots: Callable[[], Mapping[str, Any]],
        move: Callable[[], None],
        leaves: Mapping[str, Tensor],
        optimizer: torch.optim.Optimizer,
        mode: str | Shared,
    ) -> None:
        self._gradients = gradients
        self._roots_of_gradients = roots
        self._move = move
        self._leaves = leaves
        self._optimizer = optimizer
        self._settings = self._settings_now()
        # Of all rows, at addresses that stay; known to guards by this very dictionary.
        self._fields: dict[str, Tensor] = {}
        self._lying: dict[str, tuple[Tensor, int]] = {}
        self.captured = Captured(self._compute, self._roots, mode)

    def __call__(self, batch: Batch | Rows) -> Any:
        """Take a step and return the loss, (); the gather of rows is a part of it.

        Fields are copied to where a launch reads them, once for as long as they stay the same.
        """
        if isinstance(batch, Rows):
            self._lay(batch.fields)
            return self.captured(_Numbers(batch.numbers))
        return self.captured(batch)

    @property
    def usable(self) -> bool:
        """Whether it can be captured: not where a schedule moves the optimizer's numbers."""
        return self.captured.reason is None and self._settings_now() == self._settings

    def _lay(self, fields: Mapping[str, Tensor]) -> None:
        if fields.keys() != self._fields.keys():
            self._fields.clear()
            self._lying.clear()
        for name, field in fields.items():
            lying, version = self._lying.get(name, (None, 0))
            if lying is field and field._version == version:
                continue
            place = self._fields.get(name)
            if place is None or (place.shape, place.dtype) != (field.shape, field.dtype):
                self._fields[name] = field.clone()
            else:
                place.copy_(field)
            self._lying[name] = field, field._version

    def _compute(self, batch: Batch | _Numbers) -> Any:
        if isinstance(batch, _Numbers):
            batch = Rows(self._fields, batch.numbers).gathered
        loss, gradients = self._gradients(batch)
        for leaf, gradient in zip(self._leaves.values(), gradients, strict=True):
            leaf.grad = gradient
        self._move()
        return loss

    def _settings_now(self) -> list[dict[str, Any]]:
        return [
            {name: value for name, value in group.items() if name != "params"}
            for group in self._optimizer.param_groups
        ]

    def _roots(self) -> dict[str, Any]:
        state = [self._optimizer.state[leaf] for leaf in self._leaves.values()]
        return {**self._roots_of_gradients(), "optimizer's state": state, "data": self._fields}
