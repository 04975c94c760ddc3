"""A Gaussian over parameters, with independent coordinates.

    q(w) = prod_i N(w_i; m_i, s_i^2),    the same for all data

Source: Jordan, Ghahramani, Jaakkola & Saul (1999), An introduction to variational methods for
graphical models, on mean-field families.
"""

import math
from collections.abc import Mapping

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroModule
from torch import Tensor, nn

__all__ = ["GlobalMeanFieldGuide"]


class GlobalMeanFieldGuide(PyroModule):
    """q(w) of latent sites outside of the data plate, of any number and shape.

    Args:
        initial: the first means m by site; they say how the sites are shaped.
        spread: the first standard deviation s of all coordinates, positive.

    Raises:
        ValueError: there is no site, or the spread breaks this rule.
    """

    def __init__(self, initial: Mapping[str, Tensor], spread: float = 0.1) -> None:
        super().__init__()
        if not initial:
            raise ValueError("initial must name at least one site; got none.")
        if not 0 < spread < math.inf:
            raise ValueError(f"spread must be positive and finite; got {spread}.")
        locs = {name: nn.Parameter(value.detach().clone()) for name, value in initial.items()}
        self.locs = nn.ParameterDict(locs)
        self.log_scales = nn.ParameterDict(
            {n: nn.Parameter(torch.full_like(loc, math.log(spread))) for n, loc in locs.items()}
        )

    def forward(self, x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        """Draw w by site, whatever the data."""
        drawn = {}
        for name, loc in self.locs.items():
            posterior = dist.Normal(loc, self.log_scales[name].exp())
            drawn[name] = pyro.sample(name, posterior.to_event(loc.dim()))
        return drawn
