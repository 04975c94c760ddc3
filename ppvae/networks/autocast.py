"""What networks hand over under autocast, which is for their matrix products alone."""

import torch
from torch import Tensor

__all__ = ["in_float32", "widened"]


def widened(x: Tensor) -> Tensor:
    """Return x as float32 if it is bfloat16 or float16, else as it is."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def in_float32(out: Tensor) -> Tensor:
    """Return what a network computed, in float32 if autocast had it computed in less.

    What comes out of a network parametrises a distribution, and a log-density of 100 nats in
    bfloat16 is one within 0.25. A network whose own parameters are bfloat16 answers in bfloat16.
    """
    if widened(out) is out or not torch.is_autocast_enabled(out.device.type):
        return out
    return widened(out)
