"""The factorised Bernoulli guide.

q(z|x) = prod_i Bernoulli(z_i; sigmoid(encoder(x)_i)),    z in {0, 1}^D
"""

import pyro
import pyro.distributions as dist
from pyro.nn import PyroModule
from torch import Tensor, nn

__all__ = ["BernoulliGuide"]


class BernoulliGuide(PyroModule):
    """q(z|x) with independent bits, drawn together as one event.

    The 2^D codes are not enumerated, and the draws have no path gradient: the guide is for
    estimators that score their draws.

    Args:
        encoder: from data (B, P) to logits, (B, D).
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Tensor) -> Tensor:
        """Draw codes z, (..., B, D), for data x, (B, P)."""
        posterior = dist.Bernoulli(logits=self.encoder(x)).to_event(1)
        with pyro.plate("data", len(x), dim=-1):
            return pyro.sample("z", posterior)
