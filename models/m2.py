"""Data that have a label beside a code, where most labels are not known: M2.

    y ~ p(y)                        label, (B,), 0 to C - 1
    z ~ p(z)                        code, (B, D)
    x | y, z ~ p(x | f(z, y))       data, (B, P); f takes y as a one-hot row

Source: Kingma et al. (2014), arXiv:1406.5298, eq. 2.
"""

from collections.abc import Callable

import pyro
from pyro.distributions import TorchDistribution
from pyro.nn import PyroModule
from torch import Tensor, nn

from ppvae.distributions import refuse_misfit, refuse_other_than_rows
from ppvae.networks import one_hot

__all__ = ["M2"]


class M2(PyroModule):
    """p(y) p(z) p(x|y, z), y latent in every row: which of them are known is the guide's.

    Args:
        decoder: f, from codes, (..., B, D), and one-hot labels, (..., C), to the likelihood's
            parameters, (..., B, P); an ``MLP([D, C], hidden, P)`` computes each input's part once.
        prior: returns p(z), with event shape (D,).
        likelihood: returns p(x|y, z), with event shape (P,), from the decoder's output.
        label_prior: returns p(y), a categorical distribution over the C labels
            (:class:`ppvae.distributions.CategoricalPrior`), or one over soft labels where the
            guide's are soft.

    Raises:
        ValueError: x is not (B, P), or the decoder does not give P-wide data.
    """

    def __init__(
        self,
        decoder: nn.Module,
        prior: Callable[[], TorchDistribution],
        likelihood: Callable[[Tensor], TorchDistribution],
        label_prior: Callable[[], TorchDistribution],
    ) -> None:
        super().__init__()
        self.decoder = decoder
        self.prior = prior
        self.likelihood = likelihood
        self.label_prior = label_prior

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Score data x, (B, P); return the parameters of p(x|y, z), (..., B, P).

        The labels y, (B,), are taken by the guide, as the values of its site "y".
        """
        refuse_other_than_rows(x)
        labels = self.label_prior()
        with pyro.plate("data", len(x), dim=-1):
            label = pyro.sample("y", labels)
            z = pyro.sample("z", self.prior())
            params: Tensor = self.decoder(z, one_hot(label, labels.param_shape[-1], x.dtype))
            likelihood = self.likelihood(params)
            refuse_misfit(likelihood, x)
            pyro.sample("x", likelihood, obs=x)
        return params
