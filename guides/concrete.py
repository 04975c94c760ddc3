"""The guide of relaxed states.

q(z|x) = prod_i Concrete(z_i; a_i, tau),    a = encoder(x), (D, C),    state argmax_c z_ic

Source: Maddison, Mnih & Teh (2017), arXiv:1611.00712; Jang, Gu & Poole (2017), arXiv:1611.01144.
"""

import pyro
import pyro.distributions as dist
from pyro.nn import PyroModule
from torch import Tensor, nn

from ppvae.distributions import Concrete, refuse_temperature

__all__ = ["ConcreteGuide"]


class ConcreteGuide(PyroModule):
    """q(z|x) with D independent relaxed states of C, whose draws have a path gradient.

    Its prior is a :class:`ppvae.distributions.ConcretePrior`, and the decoder begins with
    :class:`ppvae.distributions.ReadStates`.

    Args:
        encoder: from data (B, P) to logits, (B, D C).
        states: C, at least 2.
        temperature: tau, positive.

    Raises:
        ValueError: states is below 2, temperature is not positive and finite, or the encoder's
            width is no multiple of states.
    """

    def __init__(self, encoder: nn.Module, states: int, temperature: float = 2 / 3) -> None:
        super().__init__()
        if states < 2:
            raise ValueError(f"states must be at least 2; got {states}.")
        refuse_temperature(temperature)
        self.encoder = encoder
        self.states = states
        self.guide_temperature = temperature

    def distribution(self, x: Tensor) -> dist.TorchDistribution:
        """q(z|x) of data (B, P), with batch shape (B,) and event shape (D, C)."""
        logits = self.encoder(x)
        if logits.shape[-1] % self.states:
            raise ValueError(
                f"encoder must be a multiple of {self.states} states wide; got {logits.shape[-1]}."
            )
        logits = logits.unflatten(-1, (-1, self.states))
        return Concrete(logits, self.guide_temperature).to_event(1)

    def forward(self, x: Tensor) -> Tensor:
        """Draw z, (..., B, D, C), for data x, (B, P)."""
        posterior = self.distribution(x)
        with pyro.plate("data", len(x), dim=-1):
            return pyro.sample("z", posterior)
