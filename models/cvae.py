"""Data given a label: the conditional variational autoencoder.

    z ~ p(z)                        code, (B, D)
    x | y, z ~ p(x | f(z, y))       data, (B, P), given labels y, (B,); f takes them one-hot

Source: Sohn, Lee & Yan (2015), Learning structured output representation using deep conditional
generative models; Kingma et al. (2014), arXiv:1406.5298, eq. 2, with y given.
"""

from collections.abc import Callable

import pyro
from pyro.distributions import TorchDistribution
from pyro.nn import PyroModule
from torch import Tensor, nn

from ppvae.distributions import refuse_labels, refuse_misfit, refuse_other_than_rows
from ppvae.networks import one_hot

__all__ = ["CVAE"]


class CVAE(PyroModule):
    """p(z) p(x|y, z) with labels y that are a field of the data, in every row, and no site.

    Args:
        decoder: f, from codes, (..., B, D), and one-hot labels, (B, C), to the likelihood's
            parameters, (..., B, P); for one an ``MLP([D, C], hidden, P)``.
        prior: returns p(z), with event shape (D,).
        likelihood: returns p(x|y, z), with event shape (P,), from the decoder's output.
        classes: C, at least 1.

    Raises:
        ValueError: classes is below 1; x is not (B, P); y is not one label a row from 0 to C - 1;
            or the decoder does not give P-wide data.
        TypeError: y holds no whole numbers.
    """

    def __init__(
        self,
        decoder: nn.Module,
        prior: Callable[[], TorchDistribution],
        likelihood: Callable[[Tensor], TorchDistribution],
        classes: int,
    ) -> None:
        super().__init__()
        if classes < 1:
            raise ValueError(f"classes must be at least 1; got {classes}.")
        self.decoder = decoder
        self.prior = prior
        self.likelihood = likelihood
        self.classes = classes

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Score data x, (B, P), given labels y, (B,); return the parameters of p(x|y, z)."""
        refuse_other_than_rows(x)
        refuse_labels(y, x.shape[:1], self.classes, all_observed=True)
        with pyro.plate("data", len(x), dim=-1):
            z = pyro.sample("z", self.prior())
            params: Tensor = self.decoder(z, one_hot(y, self.classes, x.dtype))
            likelihood = self.likelihood(params)
            refuse_misfit(likelihood, x)
            pyro.sample("x", likelihood, obs=x)
        return params
