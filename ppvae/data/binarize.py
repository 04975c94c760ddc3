"""Bernoulli draws whose probabilities are grey values in [0, 1].

Source: Salakhutdinov & Murray (2008), On the quantitative analysis of deep belief networks.
"""

import torch
from torch import Tensor

from ppvae.data.fields import SPLITS
from ppvae.data.streams import FixedStream

__all__ = ["HELD_OUT_SEED", "binarized", "binarized_once", "require_unit_interval"]

# Of the one draw that validation and test rows keep in every run.
HELD_OUT_SEED = 0

# Rows drawn at a time, so that the 8-byte random words of a large data set are never held at once.
_ROWS = 4096


def binarized(grey: Tensor, generator: torch.Generator) -> Tensor:
    """One draw x ~ Bernoulli(grey) on grey's device, in its shape and dtype."""
    return torch.empty_like(grey).uniform_(generator=generator).lt_(grey)


def binarized_once(grey: dict[str, Tensor]) -> dict[str, Tensor]:
    """The fixed draw of each split, equal on every machine; grey on the CPU, (N, P) each."""
    draws = FixedStream("binarize once", seed=HELD_OUT_SEED)
    return {split: _fixed_draw(grey[split], draws) for split in SPLITS}


def _fixed_draw(grey: Tensor, draws: FixedStream) -> Tensor:
    chunks = [torch.from_numpy(draws.uniform(*rows.shape)) < rows for rows in grey.split(_ROWS)]
    return torch.cat(chunks).to(grey.dtype)


def require_unit_interval(x: Tensor, where: str) -> None:
    """Refuse values that are no probabilities.

    Raises:
        ValueError: a value of x lies outside [0, 1].
    """
    low, high = x.min().item(), x.max().item()
    if not (low >= 0 and high <= 1):
        raise ValueError(
            f"x must lie in [0, 1] to be binarised; got values from {low:.6g} to {high:.6g} "
            f"in {where}."
        )
