"""The guide of a conditional variational autoencoder.

    q(z|x, y) = N(loc, diag(scale^2)),    (loc, log scale) = encoder(x, y)

Source: Sohn, Lee & Yan (2015), Learning structured output representation using deep conditional
generative models.
"""

import pyro
from pyro.nn import PyroModule
from torch import Tensor, nn

from ppvae.distributions import diagonal_gaussian, refuse_labels
from ppvae.networks import one_hot

__all__ = ["CVAEGuide"]


class CVAEGuide(PyroModule):
    """q(z|x, y) with labels y that are a field of the data, in every row, and no site.

    Args:
        encoder: from data, (B, P), and one-hot labels, (B, C), to loc and log scale side by side,
            (B, 2 D).
        num_labels: C, at least 1.

    Raises:
        ValueError: num_labels is below 1; y is not one label a row from 0 to C - 1; or the
            encoder's width is odd.
        TypeError: y holds no whole numbers.
    """

    def __init__(self, encoder: nn.Module, num_labels: int) -> None:
        super().__init__()
        if num_labels < 1:
            raise ValueError(f"num_labels must be at least 1; got {num_labels}.")
        self.encoder = encoder
        self.num_labels = num_labels

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Draw codes z, (..., B, D), for data x, (B, P), with labels y, (B,)."""
        refuse_labels(y, x.shape[:1], self.num_labels, all_observed=True)
        params = self.encoder(x, one_hot(y, self.num_labels, x.dtype))
        posterior = diagonal_gaussian(params, "encoder")
        with pyro.plate("data", len(x), dim=-1):
            return pyro.sample("z", posterior)
