"""A diagonal Gaussian for each datum, without a network.

    q(z_n) = N(loc_n, diag(scale_n^2)),    (loc_n, log scale_n) a row of parameters of its own

What stochastic variational inference does without amortization: nothing is shared between data, so
that each q is as good as the family admits, and nothing is known of one that was not trained on.

Source: Hoffman, Blei, Wang & Paisley (2013), Stochastic variational inference, arXiv:1206.7051,
on local variational parameters.
"""

import math

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroModule
from torch import Tensor, nn

__all__ = ["PerDatumGuide"]


class PerDatumGuide(PyroModule):
    """q(z_n) by the field "index", the number of a row over training, validation and test.

    A row has a gradient only in batches that hold it. The gradient is a dense table, zero
    elsewhere: plain SGD leaves the other rows where they are, Adam moves them on a little by the
    momentum of earlier batches. A row that no training step met keeps loc 0 and the first scale, so
    that of held-out rows a bound says nothing: :func:`ppvae.refine` fits these.

    Args:
        num_rows: N, above every index; of a data set, ``data.num_rows``.
        latent_dim: D, at least 1.
        spread: the first scale, positive; below the usual prior's 1, so that a decoder which starts
            at noise hears of z before the codes collapse onto the prior.

    Raises:
        ValueError: an argument breaks these rules, or index is not (B,).
        IndexError: an index is N or more.
    """

    def __init__(self, num_rows: int, latent_dim: int, spread: float = 0.3) -> None:
        super().__init__()
        for name, count in {"num_rows": num_rows, "latent_dim": latent_dim}.items():
            if count < 1:
                raise ValueError(f"{name} must be at least 1; got {count}.")
        if not 0 < spread < math.inf:
            raise ValueError(f"spread must be positive and finite; got {spread}.")
        self.table = nn.Parameter(torch.zeros(num_rows, 2 * latent_dim))
        with torch.no_grad():
            self.table[:, latent_dim:] = math.log(spread)

    def distribution(self, index: Tensor) -> dist.TorchDistribution:
        """q(z) of the rows with these numbers, (B,), with batch shape (B,), event shape (D,)."""
        loc, log_scale = self.table[index].chunk(2, dim=-1)
        return dist.Normal(loc, log_scale.exp()).to_event(1)

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        """Draw codes z, (..., B, D), for the rows of x, (B, P), with these numbers, (B,)."""
        if index.shape != x.shape[:1]:
            raise ValueError(
                f"index must hold one number a row, ({len(x)},); got shape {tuple(index.shape)}."
            )
        posterior = self.distribution(index)
        with pyro.plate("data", len(x), dim=-1):
            return pyro.sample("z", posterior)
