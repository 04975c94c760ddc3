"""Log-densities in float32 or wider, whatever the networks compute in.

Autocast rounds matrix products to bfloat16 or float16, in which 100 nats are known to within 0.25.
"""

import contextlib
import copy
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, TransformedDistribution

from ppvae.networks.autocast import widened

__all__ = ["scored", "wide"]


def scored(fn: Any, value: Any, *args: Any, **kwargs: Any) -> Tensor:
    """Return log p(value) of a distribution, computed without autocast.

    The products of a flow are those of its networks, and stay as they were for the draw.
    """
    device = getattr(value, "device", torch.device("cpu")).type
    left = torch.is_autocast_enabled(device) and not _is_flow(fn)
    with torch.autocast(device, enabled=False) if left else contextlib.nullcontext():
        return fn.log_prob(value, *args, **kwargs)


def wide(fn: Any) -> Any:
    """Return a distribution with its parameters in bfloat16 or float16 as float32.

    Its draws stay as they are, since a flow without an inverse knows them by identity; so do its
    transforms. One without such parameters is returned itself.
    """
    changed: dict[str, Any] = {}
    for name, held in vars(fn).items():
        if isinstance(held, Tensor):
            wider = widened(held)
        elif isinstance(held, Distribution):
            wider = wide(held)
        else:
            continue
        if wider is not held:
            changed[name] = wider
    if not changed:
        return fn
    copied = copy.copy(fn)
    vars(copied).update(changed)
    return copied


def _is_flow(fn: Any) -> bool:
    while not isinstance(fn, TransformedDistribution):
        if not hasattr(fn, "base_dist"):
            return False
        fn = fn.base_dist
    return True
