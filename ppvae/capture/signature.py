"""What two batches must have in common for one graph to serve both."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from torch import Tensor

from ppvae.capturing import CannotCapture

__all__ = ["signature", "tensors_of"]

_PLAIN = (bool, int, float, complex, str, type(None), torch.dtype, torch.device)


def signature(batch: Any) -> Hashable:
    """Shapes, dtypes and devices of a batch's tensors, its other values, and torch's own settings.

    Raises:
        CannotCapture: the batch holds something whose equality says nothing of what it does.
    """
    return (
        _kind(batch),
        torch.is_grad_enabled(),
        torch.get_default_dtype(),
        torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu"),
        torch.is_autocast_enabled("cuda") and torch.get_autocast_dtype("cuda"),
    )


def tensors_of(value: Any) -> list[Tensor]:
    """The tensors in nested tuples, lists and dictionaries, in a fixed order."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, Mapping):
        return [tensor for each in value.values() for tensor in tensors_of(each)]
    if isinstance(value, tuple | list):
        return [tensor for each in value for tensor in tensors_of(each)]
    return []


def _kind(value: Any) -> Hashable:
    if isinstance(value, Tensor):
        return value.shape, value.dtype, value.device, value.stride(), value.requires_grad
    if isinstance(value, _PLAIN):
        return type(value), value
    if isinstance(value, Mapping):
        return tuple((name, _kind(each)) for name, each in value.items())
    if isinstance(value, tuple | list):
        return type(value), tuple(map(_kind, value))
    raise CannotCapture(f"the batch holds a {type(value).__name__}, which cannot be compared")
