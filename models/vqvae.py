"""The generative half of the VQ-VAE: codes out of codebooks on one or several grids.

    z_L ~ p(z_L)                          codes of the top grid, (B, M_L, D)
    z_l | z_>l ~ p(z_l | z_>l)            those of a grid below, for l = L - 1 ... 1
    x | z ~ p(x | f(z_1, ..., z_L))       data, (B, P)

Sources: van den Oord, Vinyals & Kavukcuoglu (2017), arXiv:1711.00937; Razavi, van den Oord &
Vinyals (2019), arXiv:1906.00446, for several grids.
"""

from collections.abc import Callable, Iterable

import pyro
from pyro.distributions import TorchDistribution
from pyro.nn import PyroModule
from torch import Tensor, nn

from ppvae.distributions import masked, refuse_misfit, refuse_other_than_rows

__all__ = ["VQVAE"]


class VQVAE(PyroModule):
    """p(z) p(x|z) for data in rows, z on L grids: the site "z", or "z1" (lowest) to "zL".

    Args:
        decoder: f, from the grids (..., B, M_l, D), the lowest first, to the likelihood's
            parameters.
        priors: of each grid, the lowest first: returns p(z_l | z_>l), with event shape (M_l, D),
            from the grids above it, the lowest first.
        likelihood: returns p(x|z), with event shape (P,), from the decoder's output; a module if
            it learns.

    Raises:
        ValueError: there is no prior, x is not (B, P), the decoder does not give P-wide data, or
            the mask has another shape than x.
        TypeError: the mask is not boolean.
    """

    def __init__(
        self,
        decoder: nn.Module,
        priors: Iterable[nn.Module],
        likelihood: Callable[[Tensor], TorchDistribution],
    ) -> None:
        super().__init__()
        self.decoder = decoder
        self.priors = nn.ModuleList(priors)
        if not self.priors:
            raise ValueError("priors must be one for each grid, at least one; got none.")
        self.likelihood = likelihood

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Score data x, (B, P), all or what a mask leaves; return the parameters of p(x|z)."""
        refuse_other_than_rows(x)
        levels = len(self.priors)
        with pyro.plate("data", len(x), dim=-1):
            codes: list[Tensor] = []
            for level in range(levels, 0, -1):
                name = f"z{level}" if levels > 1 else "z"
                codes.insert(0, pyro.sample(name, self.priors[level - 1](*codes)))
            params: Tensor = self.decoder(*codes)
            likelihood = self.likelihood(params)
            refuse_misfit(likelihood, x)
            pyro.sample("x", masked(likelihood, mask), obs=x)
        return params
