"""Transforms of Pyro and Zuko, in an order, as one part of a guide or a prior."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution
from pyro.distributions.conditional import ConditionalTransform
from torch import Tensor, nn
from torch.distributions import Transform
from torch.distributions.transforms import _InverseTransform

__all__ = ["Transforms"]


class Transforms(nn.Module):
    """The distribution of transforms of a draw.

    Args:
        transforms: on D coordinates, applied in this order: Pyro's, conditional ones of which are
            given the context, or modules that return a torch transform from a context, as Zuko's
            lazy ones do. Any may be the ``.inv`` of another.

    Raises:
        TypeError: one of them is no transform.
    """

    def __init__(self, transforms: Iterable[Any]) -> None:
        super().__init__()
        parts = list(transforms)
        for part in parts:
            if not isinstance(part, Transform | ConditionalTransform | nn.Module):
                raise TypeError(
                    "transforms must be those of Pyro or Zuko; "
                    f"got one of type {type(part).__name__}."
                )
        self.inverted = [isinstance(part, _InverseTransform) for part in parts]
        # The inverse of a torch transform cannot be copied, the transform itself can.
        self.parts = [
            part.inv if inverted else part
            for part, inverted in zip(parts, self.inverted, strict=True)
        ]
        self.networks = nn.ModuleList(part for part in self.parts if isinstance(part, nn.Module))

    def forward(self, base: TorchDistribution, context: Tensor | None = None) -> TorchDistribution:
        """The transformed distribution, of the batch and event shape of the base.

        Args:
            base: with event shape (D,).
            context: what conditional transforms depend on, (..., C).
        """
        parts = [_conditioned(part, context) for part in self.parts]
        turned = [
            part.inv if inverted else part
            for part, inverted in zip(parts, self.inverted, strict=True)
        ]
        return dist.TransformedDistribution(base, turned)


def _conditioned(part: Any, context: Tensor | None) -> Transform:
    """A transform for one draw: what it keeps of it is not kept by the part."""
    if isinstance(part, ConditionalTransform):
        return part.condition(context)
    if isinstance(part, Transform):
        # The copy shares the parameters.
        fresh = copy.copy(part)
        fresh._inv = None
        return fresh
    return _Remembered(part(context))


class _Remembered(Transform):
    """A transform that knows what it last computed, so that its own draws need no inverse."""

    bijective = True

    def __init__(self, transform: Transform) -> None:
        super().__init__(cache_size=1)
        self.transform = transform
        self.domain, self.codomain = transform.domain, transform.codomain
        self._log_slope: Tensor | None = None

    def _call(self, x: Tensor) -> Tensor:
        both = getattr(self.transform, "call_and_ladj", None)
        if both is None:
            y: Tensor = self.transform(x)
            self._log_slope = self.transform.log_abs_det_jacobian(x, y)
        else:
            y, self._log_slope = both(x)
        return y

    def _inverse(self, y: Tensor) -> Tensor:
        self._log_slope = None
        x: Tensor = self.transform.inv(y)
        return x

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """Log |det dy/dx|, (...,)."""
        last: Any = self._cached_x_y
        last_x, last_y = last
        if self._log_slope is not None and x is last_x and y is last_y:
            return self._log_slope
        return torch.as_tensor(self.transform.log_abs_det_jacobian(x, y))
