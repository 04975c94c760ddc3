"""The variational autoencoder's generative half.

    z ~ p(z)                   code, (B, D); the prior
    x | z ~ p(x | f(z))        data, (B, P); the likelihood, its parameters from the decoder f

Where a mask says what is observed of x, only that is scored; see `ppvae.distributions.masked`.

Source: Kingma & Welling (2014), arXiv:1312.6114.
"""

from collections.abc import Callable

import pyro
from pyro.distributions import TorchDistribution
from pyro.nn import PyroModule
from torch import Tensor, nn

from ppvae.distributions import masked, refuse_misfit, refuse_other_than_rows

__all__ = ["VAE"]


class VAE(PyroModule):
    """p(z) p(x|z) for data in rows.

    Args:
        decoder: f, from codes (..., B, D) to the likelihood's parameters, (..., B, P).
        prior: returns p(z), with event shape (D,); a module if it learns.
        likelihood: returns p(x|z), with event shape (P,), from the decoder's output; a module if
            it learns.

    Raises:
        ValueError: x is not (B, P), the decoder does not give P-wide data, or the mask has another
            shape than x.
        TypeError: the mask is not boolean.
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

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Score data x, (B, P), all or what a mask leaves; return the parameters of p(x|z)."""
        refuse_other_than_rows(x)
        with pyro.plate("data", len(x), dim=-1):
            z = pyro.sample("z", self.prior())
            params: Tensor = self.decoder(z)
            likelihood = self.likelihood(params)
            refuse_misfit(likelihood, x)
            pyro.sample("x", masked(likelihood, mask), obs=x)
        return params
