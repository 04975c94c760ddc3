"""The variational autoencoder's generative half.

    z ~ p(z)                   code, (B, D); the prior
    x | z ~ p(x | f(z))        data, (B, P); the likelihood, its parameters from the decoder f

Source: Kingma & Welling (2014), arXiv:1312.6114.
"""

from collections.abc import Callable

import pyro
from pyro.distributions import TorchDistribution
from pyro.nn import PyroModule
from torch import Tensor, nn

__all__ = ["VAE"]


class VAE(PyroModule):
    """p(z) p(x|z) for data in rows.

    Args:
        decoder: f, from codes (..., B, D) to the likelihood's parameters, (..., B, P).
        prior: returns p(z), with event shape (D,); a module if it learns.
        likelihood: returns p(x|z), with event shape (P,), from the decoder's output; a module if
            it learns.

    Raises:
        ValueError: x is not (B, P), or the decoder does not give P-wide data.
    """

    def __init__(
        self,
        decoder: nn.Module,
        prior: Callable[[], TorchDistribution],
        likelihood: Callable[[Tensor], TorchDistribution],
    ) -> None:
        super().__init__()
        self.decoder = decoder
        self.prior = prior
        self.likelihood = likelihood

    def forward(self, x: Tensor) -> Tensor:
        """Score data x, (B, P); return the parameters of p(x|z), (..., B, P)."""
        if x.dim() != 2:
            raise ValueError(
                f"x must be 2-dimensional, (B, P); got shape {tuple(x.shape)}. "
                "Flatten images first."
            )
        with pyro.plate("data", len(x), dim=-1):
            z = pyro.sample("z", self.prior())
            params: Tensor = self.decoder(z)
            likelihood = self.likelihood(params)
            # Width 1 would broadcast against x and pass for a correct model.
            if likelihood.event_shape != x.shape[-1:]:
                width = likelihood.event_shape[-1] if likelihood.event_shape else 0
                raise ValueError(f"decoder must be as wide as x, {x.shape[-1]}; got {width}.")
            pyro.sample("x", likelihood, obs=x)
        return params
