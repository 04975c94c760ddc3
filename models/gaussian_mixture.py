"""The Gaussian mixture.

    y ~ Categorical(softmax(theta))      component, (B,)
    x | y ~ N(mu_y, Sigma_y)             data, (B, P)

The model sums y out where the guide leaves it alone: every bound is log p(x) then. A guide that
draws or enumerates y is followed.

Source: Bishop (2006), Pattern recognition and machine learning, section 9.2.
"""

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroModule
from torch import Tensor, nn

from ppvae.distributions import Covariance

__all__ = ["GaussianMixture"]


class GaussianMixture(PyroModule):
    """p(y) p(x|y) with theta, mu and the covariances as parameters.

    Args:
        means: mu, where it starts, (C, P).
        covariance: Sigma, of C components in P dimensions: full, tied or diagonal.
        weights: softmax(theta), where it starts, (C,), positive with sum 1; equal if not given.

    Raises:
        ValueError: a shape or the weights break these rules, or x is not (B, P).
    """

    def __init__(
        self, means: Tensor, covariance: Covariance, weights: Tensor | None = None
    ) -> None:
        super().__init__()
        if means.dim() != 2 or 0 in means.shape:
            raise ValueError(
                f"means must be (C, P), C and P at least 1; got shape {tuple(means.shape)}."
            )
        if (covariance.components, covariance.data_dim) != means.shape:
            raise ValueError(
                f"covariance must be of as many components and dimensions as means, "
                f"{tuple(means.shape)}; got {covariance.components, covariance.data_dim}."
            )
        if weights is None:
            weights = means.new_full((len(means),), 1 / len(means))
        weights = weights.detach()
        if weights.shape != means.shape[:1] or not bool((weights > 0).all()):
            raise ValueError(
                f"weights must be {len(means)} positive numbers; got {weights.tolist()}."
            )
        if abs(float(weights.sum()) - 1) > 1e-6:
            raise ValueError(f"weights must have sum 1; got {float(weights.sum()):g}.")
        # Pyro never trains a parameter that is not contiguous.
        self.means = nn.Parameter(means.detach().clone(memory_format=torch.contiguous_format))
        self.covariance = covariance
        self.theta = nn.Parameter(weights.log())

    def forward(self, x: Tensor) -> Tensor:
        """Score data x, (B, P); return the mean of p(x|y), (..., B, P)."""
        self._refuse(x)
        factors = self.covariance()
        with pyro.plate("data", len(x), dim=-1):
            y = pyro.sample(
                "y", dist.Categorical(logits=self.theta), infer={"enumerate": "parallel"}
            )
            loc = self.means[y]
            pyro.sample("x", dist.MultivariateNormal(loc, scale_tril=factors[y]), obs=x)
        return loc

    def m_step(self, x: Tensor, posterior: Tensor) -> None:
        """Take the parameters that maximise E_q[log p(x, y)]: the closed M-step of EM.

        With N_c = sum_n q(y_n = c): weights N_c / N, means sum_n q(y_n = c) x_n / N_c, and the
        covariances that :class:`ppvae.distributions.Covariance` makes of the scatter around them.

        Args:
            x: data, (N, P).
            posterior: q(y_n = c), (N, C).

        Raises:
            ValueError: a component has no row, or rows that leave its covariance singular.

        Source: Bishop (2006), section 9.2.2.
        """
        self._refuse(x)
        counts = posterior.sum(0)
        if not bool((counts > 0).all()):
            raise ValueError(
                "each component must be responsible for some row; got none for component "
                f"{int(counts.argmin())}. Start it elsewhere, or leave it out."
            )
        means = posterior.T @ x / counts[:, None]
        centred = x - means[:, None]
        scatter = (posterior.T.unsqueeze(-1) * centred).mT @ centred
        # First, since it may refuse.
        self.covariance.m_step(scatter.detach(), counts.detach())
        with torch.no_grad():
            self.means.copy_(means)
            self.theta.copy_((counts / counts.sum()).log())

    def _refuse(self, x: Tensor) -> None:
        if x.dim() != 2 or x.shape[-1] != self.means.shape[1]:
            raise ValueError(f"x must be (B, {self.means.shape[1]}); got shape {tuple(x.shape)}.")
