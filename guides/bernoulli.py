"""The factorised Bernoulli guide.

q(z|x) = prod_i Bernoulli(z_i; sigmoid(encoder(x)_i)),    z in {0, 1}^D
"""

from typing import Any

import pyro
import pyro.distributions as dist
from pyro.nn import PyroModule
from torch import Tensor, nn

from ppvae.distributions import Bits

__all__ = ["BernoulliGuide"]


class BernoulliGuide(PyroModule):
    """q(z|x) with independent bits, drawn or summed out together as one event.

    Draws have no path gradient: they are for estimators that score them.

    Args:
        encoder: from data (B, P) to logits, (B, D).
        enumerated: whether z is marked to be summed out, all 2^D codes of D = 12 bits at most.
    """

    def __init__(self, encoder: nn.Module, enumerated: bool = False) -> None:
        super().__init__()
        self.encoder = encoder
        self.enumerated = enumerated

    def forward(self, x: Tensor) -> Tensor:
        """Return codes z for data x, (B, P): draws, (..., B, D), or all, (2^D, ..., 1, D)."""
        logits = self.encoder(x)
        # Pyro's own bits have a closed KL, and cannot be enumerated as one event.
        own = dist.Bernoulli(logits=logits).to_event(1)
        posterior = Bits(logits) if self.enumerated else own
        infer: Any = {"enumerate": "parallel"} if self.enumerated else {}
        with pyro.plate("data", len(x), dim=-1):
            return pyro.sample("z", posterior, infer=infer)
