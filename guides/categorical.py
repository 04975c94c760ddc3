"""The categorical guide.

q(y|x) = Categorical(y; softmax(encoder(x)))
"""

from typing import Any

import pyro
import pyro.distributions as dist
from pyro.nn import PyroModule
from torch import Tensor, nn

__all__ = ["CategoricalGuide"]


class CategoricalGuide(PyroModule):
    """q(y|x) over C labels, summed out exactly or drawn.

    Args:
        encoder: from data (B, P) to logits, (B, C).
        enumerated: whether y is marked to be summed out; a drawn y has no path gradient.
    """

    def __init__(self, encoder: nn.Module, enumerated: bool = True) -> None:
        super().__init__()
        self.encoder = encoder
        self.enumerated = enumerated

    def forward(self, x: Tensor) -> Tensor:
        """Return labels y for data x, (B, P): all C of them, (C, ..., 1), or draws, (..., B)."""
        labels = dist.Categorical(logits=self.encoder(x))
        infer: Any = {"enumerate": "parallel"} if self.enumerated else {}
        with pyro.plate("data", len(x), dim=-1):
            return pyro.sample("y", labels, infer=infer)
