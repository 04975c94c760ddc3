"""What is lowered in a step: any loss of a pair, asked for its value and its gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyro
import pyro.infer
import torch
from torch import Tensor, nn

from ppvae.capturing import capturing
from ppvae.estimators import Estimator
from ppvae.pair import Batch, Pair
from ppvae.scope import ByIdentity, Program

__all__ = ["Loss", "Objective", "as_numbers"]

Loss = pyro.infer.ELBO | Callable[..., Tensor]


class Objective:
    """A loss of a pair, in nats: an estimator of ours, an ELBO of Pyro's, or a callable.

    Args:
        pair: model and guide, entered by whoever asks.
        loss: a callable is given model, guide and the batch.

    Raises:
        TypeError: loss is none of the three.
    """

    def __init__(self, pair: Pair, loss: Loss) -> None:
        if not isinstance(loss, pyro.infer.ELBO) and not callable(loss):
            raise TypeError(f"loss must be an ELBO or a callable; got {type(loss).__name__}.")
        self.pair = pair
        self.loss: Any = loss
        self._of_pyro = isinstance(loss, pyro.infer.ELBO)
        self._announced = nn.Parameter(torch.zeros(()), requires_grad=False)

    def with_gradient(self, batch: Batch, validated: bool) -> Any:
        """The loss, (), with its gradient added to the parameters; shapes and supports validated.

        A graph holds no looks at values, so that a capture validates nothing.
        """
        if validated and not capturing():
            return self._with_gradient(batch)
        with pyro.validation_enabled(False):
            return self._with_gradient(batch)

    def _with_gradient(self, batch: Batch) -> Any:
        args, kwargs = batch
        if isinstance(self.loss, Estimator):
            loss = self.loss.differentiable_loss(self.pair.model, self.pair.guide, *args, **kwargs)
        elif self._of_pyro:
            loss = self.loss.loss_and_grads(*self._programs(batch))
            return type(loss)(map(_as_loss, loss)) if isinstance(loss, tuple) else _as_loss(loss)
        else:
            loss = self.loss(self._program("model"), self._program("guide"), *args, **kwargs)
        if loss.requires_grad:
            loss.backward()
        return loss.detach()

    def value(self, batch: Batch) -> Any:
        """The loss, without a gradient."""
        args, kwargs = batch
        if isinstance(self.loss, Estimator):
            return self.loss.loss(self.pair.model, self.pair.guide, *args, **kwargs)
        if self._of_pyro:
            return self.loss.loss(*self._programs(batch))
        return self.loss(self._program("model"), self._program("guide"), *args, **kwargs)

    def _program(self, role: str) -> Program:
        """The model or the guide as a callable loss calls it, with arguments."""
        return lambda *args, **kwargs: self.pair.program(role, (args, kwargs))()

    def _programs(self, batch: Batch) -> tuple[Any, ...]:
        """Model and guide for a loss of Pyro's, which gives both the same arguments: here none."""
        model, guide = (self.pair.program(role, batch) for role in ("model", "guide"))

        def announced() -> Any:
            # Pyro's estimators differentiate only when they have met a pyro.param.
            scope = self.pair.scope
            with ByIdentity(scope):
                pyro.param("ppvae", scope.registered.get("ppvae", [self._announced])[0])
            return model()

        return announced, guide


def _as_loss(value: Any) -> Tensor:
    """What Pyro reads off as a Python number, as a tensor of the kind that one becomes."""
    if isinstance(value, Tensor) and not capturing():
        return value
    return torch.as_tensor(value, dtype=torch.get_default_dtype())


def as_numbers(loss: Any) -> Any:
    """A loss as a float, or as the floats that it has."""
    return type(loss)(map(float, loss)) if isinstance(loss, tuple) else float(loss)
