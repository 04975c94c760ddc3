"""A Gaussian over parameters, with every correlation.

    q(w) = N(m, L L'),    L = diag(s) (I + lower triangle),    the same for all data

Source: Kucukelbir et al. (2017), Automatic differentiation variational inference, arXiv:1603.00788,
on the full-rank Gaussian by its Cholesky factor.
"""

import math

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroModule
from torch import Tensor, nn

__all__ = ["GlobalFullRankGuide"]


class GlobalFullRankGuide(PyroModule):
    """q(w) of one latent vector outside of the data plate.

    Args:
        initial: the first mean m, (D,).
        spread: the first standard deviation of all coordinates, positive; they begin uncorrelated.
        site: the name of the vector.

    Raises:
        ValueError: initial is not a vector, or the spread breaks this rule.
    """

    def __init__(self, initial: Tensor, spread: float = 0.1, site: str = "w") -> None:
        super().__init__()
        if initial.dim() != 1 or not len(initial):
            raise ValueError(f"initial must be a vector, (D,); got shape {tuple(initial.shape)}.")
        if not 0 < spread < math.inf:
            raise ValueError(f"spread must be positive and finite; got {spread}.")
        self.site = site
        self.centre = nn.Parameter(initial.detach().clone())
        self.log_lengths = nn.Parameter(torch.full_like(self.centre, math.log(spread)))
        self.below = nn.Parameter(self.centre.new_zeros(len(initial), len(initial)))

    def distribution(self) -> dist.MultivariateNormal:
        """q(w), with event shape (D,)."""
        # In units of s, so that one learning rate serves long and short directions.
        unit = torch.eye(len(self.centre)).to(self.below) + self.below.tril(-1)
        return dist.MultivariateNormal(
            self.centre, scale_tril=self.log_lengths.exp().unsqueeze(-1) * unit
        )

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Draw w, (..., D), whatever the data."""
        return pyro.sample(self.site, self.distribution())
