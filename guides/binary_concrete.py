"""The guide of relaxed bits.

q(z|x) = prod_i BinaryConcrete(z_i; encoder(x)_i, tau),    z log-odds, bits 1[z > 0]

Source: Maddison, Mnih & Teh (2017), arXiv:1611.00712.
"""

import pyro
import pyro.distributions as dist
from pyro.nn import PyroModule
from torch import Tensor, nn

from ppvae.distributions import BinaryConcrete, refuse_temperature

__all__ = ["BinaryConcreteGuide"]


class BinaryConcreteGuide(PyroModule):
    """q(z|x) with independent log-odds of relaxed bits, whose draws have a path gradient.

    Its prior is a :class:`ppvae.distributions.BinaryConcretePrior`, and the decoder begins with
    :class:`ppvae.distributions.ReadBits`.

    Args:
        encoder: from data (B, P) to logits, (B, D).
        temperature: tau, positive; it need not be that of the prior.

    Raises:
        ValueError: temperature is not positive and finite.
    """

    def __init__(self, encoder: nn.Module, temperature: float = 2 / 3) -> None:
        super().__init__()
        refuse_temperature(temperature)
        self.encoder = encoder
        self.guide_temperature = temperature

    def distribution(self, x: Tensor) -> dist.TorchDistribution:
        """q(z|x) of data (B, P), with batch shape (B,) and event shape (D,)."""
        return BinaryConcrete(self.encoder(x), self.guide_temperature).to_event(1)

    def forward(self, x: Tensor) -> Tensor:
        """Draw log-odds z, (..., B, D), for data x, (B, P)."""
        posterior = self.distribution(x)
        with pyro.plate("data", len(x), dim=-1):
            return pyro.sample("z", posterior)
