"""A variational autoencoder with several layers of codes.

    z_L ~ p(z_L)                                      highest code, (B, D_L); the prior
    z_l | z_{l+1} ~ N(loc, diag(scale^2))             codes, (B, D_l), for l = L - 1, ..., 1;
                                                      (loc, log scale) = layer_l(z_{l+1})
    x | z_1 ~ p(x | f(z_1))                           data, (B, P); the likelihood of decoder f

Where a mask says what is observed of x, only that is scored; see `ppvae.distributions.masked`.

Source: Burda, Grosse & Salakhutdinov (2016), arXiv:1509.00519.
"""

from collections.abc import Callable, Iterable

import pyro
from pyro.distributions import TorchDistribution
from pyro.nn import PyroModule
from torch import Tensor, nn

from ppvae.distributions import (
    diagonal_gaussian,
    masked,
    refuse_misfit,
    refuse_other_than_rows,
)

__all__ = ["HierarchicalVAE"]


class HierarchicalVAE(PyroModule):
    """p(z_L) p(z_{L-1}|z_L) ... p(z_1|z_2) p(x|z_1), with sites "z1", ..., "zL".

    Args:
        decoder: f, from the lowest codes (..., B, D_1) to the likelihood's parameters, (..., B, P).
        layers: L - 1 networks, at least one, the lowest first: number l from z_{l+1},
            (..., B, D_{l+1}), to loc and log scale of z_l side by side, (..., B, 2 D_l).
        prior: returns p(z_L), with event shape (D_L,); a module if it learns.
        likelihood: returns p(x|z_1), with event shape (P,), from the decoder's output; a module if
            it learns.

    Raises:
        ValueError: there is no layer, or one of odd width; x is not (B, P), the decoder does not
            give P-wide data, or the mask has another shape than x.
        TypeError: the mask is not boolean.
    """

    def __init__(
        self,
        decoder: nn.Module,
        layers: Iterable[nn.Module],
        prior: Callable[[], TorchDistribution],
        likelihood: Callable[[Tensor], TorchDistribution],
    ) -> None:
        super().__init__()
        self.decoder = decoder
        self.layers = nn.ModuleList(layers)
        if not self.layers:
            raise ValueError("layers must hold at least 1 network; got 0, for which there is VAE.")
        self.prior = prior
        self.likelihood = likelihood

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Score data x, (B, P), all or what a mask leaves; return the parameters of p(x|z_1)."""
        refuse_other_than_rows(x)
        with pyro.plate("data", len(x), dim=-1):
            z = pyro.sample(f"z{len(self.layers) + 1}", self.prior())
            for number, layer in reversed(list(enumerate(self.layers, 1))):
                z = pyro.sample(f"z{number}", diagonal_gaussian(layer(z), f"layer {number}"))
            params: Tensor = self.decoder(z)
            likelihood = self.likelihood(params)
            refuse_misfit(likelihood, x)
            pyro.sample("x", masked(likelihood, mask), obs=x)
        return params
