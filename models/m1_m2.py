"""M2 on the codes of a variational autoencoder: M1+M2.

    y ~ p(y)                            label, (B,), 0 to C - 1
    z2 ~ p(z2)                          upper code, (B, D2)
    z1 | y, z2 ~ N(loc, diag(scale^2))  lower code, (B, D1);  (loc, log scale) = top(z2, y)
    x | z1 ~ p(x | f(z1))               data, (B, P)

The lower half is an autoencoder M1, trained first; on its codes p(z1|y, z2) p(y) p(z2) is M2.

Source: Kingma et al. (2014), arXiv:1406.5298, section 2, on the stacked model (M1+M2).
"""

from collections.abc import Callable

import pyro
from pyro.distributions import TorchDistribution
from pyro.nn import PyroModule
from torch import Tensor, nn

from ppvae.distributions import diagonal_gaussian, refuse_misfit, refuse_other_than_rows
from ppvae.networks import one_hot

__all__ = ["M1M2"]


class M1M2(PyroModule):
    """p(y) p(z2) p(z1|y, z2) p(x|z1), y latent in every row.

    Args:
        decoder: f, from lower codes, (..., B, D1), to the likelihood's parameters, (..., B, P);
            that of a trained M1, held by :class:`ppvae.networks.Frozen`, or one that trains too.
        likelihood: returns p(x|z1), with event shape (P,), from the decoder's output.
        top: from upper codes, (..., B, D2), and one-hot labels, (..., C), to loc and log scale of
            z1 side by side, (..., B, 2 D1).
        prior: returns p(z2), with event shape (D2,).
        label_prior: returns p(y), a categorical distribution over the C labels.

    Raises:
        ValueError: x is not (B, P), the decoder does not give P-wide data, or top has odd width.
    """

    def __init__(
        self,
        decoder: nn.Module,
        likelihood: Callable[[Tensor], TorchDistribution],
        top: nn.Module,
        prior: Callable[[], TorchDistribution],
        label_prior: Callable[[], TorchDistribution],
    ) -> None:
        super().__init__()
        self.decoder = decoder
        self.likelihood = likelihood
        self.top = top
        self.prior = prior
        self.label_prior = label_prior

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Score data x, (B, P); return the parameters of p(x|z1), (..., B, P).

        The labels y, (B,), are taken by the guide, as the values of its site "y".
        """
        refuse_other_than_rows(x)
        labels = self.label_prior()
        with pyro.plate("data", len(x), dim=-1):
            label = pyro.sample("y", labels)
            z2 = pyro.sample("z2", self.prior())
            params = self.top(z2, one_hot(label, labels.param_shape[-1], x.dtype))
            z1 = pyro.sample("z1", diagonal_gaussian(params, "top"))
            decoded: Tensor = self.decoder(z1)
            likelihood = self.likelihood(decoded)
            refuse_misfit(likelihood, x)
            pyro.sample("x", likelihood, obs=x)
        return decoded
