"""A step as one computation, the optimizer's move in it: for a GPU, where a launch costs most."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from ppvae.capture import Captured, Shared
from ppvae.pair import Batch

__all__ = ["WholeStep", "pays"]

Gradients = Callable[[Batch], tuple[Any, list[Tensor | None]]]


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
        self.captured = Captured(self._compute, self._roots, mode)

    def __call__(self, batch: Batch) -> Any:
        """Take a step and return the loss, ()."""
        return self.captured(batch)

    @property
    def usable(self) -> bool:
        """Whether it can be captured: not where a schedule moves the optimizer's numbers."""
        return self.captured.reason is None and self._settings_now() == self._settings

    def _compute(self, batch: Batch) -> Any:
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
        return {**self._roots_of_gradients(), "optimizer's state": state}
