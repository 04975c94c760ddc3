"""Adam's fused move without the bookkeeping around it, which takes as long as a small move."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ppvae.capturing import capturing

__all__ = ["FusedAdam"]

_ONE = torch.ones(())
_MOVE = getattr(torch, "_fused_adam_", None)
# What the move does otherwise than plainly, it does in the optimizer's own step.
_PLAIN = {"fused": True, "amsgrad": False, "capturable": False, "differentiable": False}


class FusedAdam:
    """The step of a ``torch.optim.Adam``, bit for bit, wherever it is the plain fused one.

    Args:
        optimizer: of any kind; one that is no plain Adam is left to its own step.
    """

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self._optimizer = optimizer
        self._state: Any = None
        self._lists: tuple[list[Tensor], ...] = ()

    def step(self) -> None:
        """One step along the gradients."""
        if not self._moved():
            self._optimizer.step()

    def _moved(self) -> bool:
        optimizer = self._optimizer
        if not self._is_plain():
            return False
        (group,) = optimizer.param_groups
        gradients = [parameter.grad for parameter in group["params"]]
        if any(gradient is None for gradient in gradients) or isinstance(group["lr"], Tensor):
            return False
        if self._state is not optimizer.state or len(self._lists[0]) != len(gradients):
            # The state comes to exist in the first step, and is another after it was loaded.
            if any(len(optimizer.state[parameter]) != 3 for parameter in group["params"]):
                return False
            states = [optimizer.state[parameter] for parameter in group["params"]]
            names = ("exp_avg", "exp_avg_sq", "step")
            self._lists = tuple([state[name] for state in states] for name in names)
            self._state = optimizer.state
        means, squares, steps = self._lists
        beta1, beta2 = group["betas"]
        assert _MOVE is not None
        with torch.no_grad():
            _count(steps)
            _MOVE(
                group["params"],
                gradients,
                means,
                squares,
                [],
                steps,
                lr=group["lr"],
                beta1=beta1,
                beta2=beta2,
                weight_decay=group["weight_decay"],
                eps=group["eps"],
                amsgrad=False,
                maximize=group["maximize"],
            )
        return True

    def _is_plain(self) -> bool:
        optimizer: Any = self._optimizer
        return (
            type(optimizer) is torch.optim.Adam
            and _MOVE is not None
            and len(optimizer.param_groups) == 1
            and all(optimizer.param_groups[0].get(k) == v for k, v in _PLAIN.items())
            and not optimizer.param_groups[0].get("decoupled_weight_decay", False)
            # A schedule counts steps, and hooks see them.
            and "step" not in vars(optimizer)
            and not optimizer._optimizer_step_pre_hooks
            and not optimizer._optimizer_step_post_hooks
        )


def _count(steps: list[Tensor]) -> None:
    """One step more, in each of the counts, ()."""
    if capturing() or any(step.is_cuda for step in steps):
        torch._foreach_add_(steps, 1)
        return
    # On the CPU each is a call by itself either way, and this one makes no tensor of the 1.
    for step in steps:
        step.add_(_ONE)
