"""A correlated Gaussian approached by independent ones: the staircase of mean-field inference.

    p(z) = N(mu, Sigma), Lambda = Sigma^-1        q(z) = prod_i N(z_i; m_i, s_i^2)
    m_i = mu_i - Lambda_ii^-1 sum_{j != i} Lambda_ij (m_j - mu_j),    s_i^2 = 1 / Lambda_ii

The means go to their place in steps along the axes; the variances come out too small.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, kl_divergence

__all__ = ["MeanFieldGaussian"]


class MeanFieldGaussian:
    """The independent Gaussians nearest to N(mu, Sigma) in KL(q || p), one coordinate at a time.

    Args:
        loc: mu, (D,).
        covariance: Sigma, (D, D), positive definite.
        start: m, where it begins, (D,).

    Attributes:
        mean: m, (D,).
        variance: s^2, (D,); ones at first.

    Raises:
        ValueError: shapes do not fit together, or Sigma is not positive definite.

    Source: Bishop (2006), Pattern recognition and machine learning, section 10.1.2, eqs. 10.12 to
    10.15.
    """

    def __init__(self, loc: Tensor, covariance: Tensor, start: Tensor) -> None:
        if loc.dim() != 1 or covariance.shape != loc.shape * 2 or start.shape != loc.shape:
            raise ValueError(
                "loc (D,), covariance (D, D) and start (D,) must fit together; got shapes "
                f"{tuple(loc.shape)}, {tuple(covariance.shape)}, {tuple(start.shape)}."
            )
        if int(torch.linalg.cholesky_ex(covariance).info) != 0:
            raise ValueError("covariance must be positive definite; got one that is not.")
        self.loc = loc
        self.covariance = covariance
        self.precision = torch.linalg.inv(covariance)
        self.mean = start.detach().clone()
        self.variance = torch.ones_like(loc)

    @property
    def factors(self) -> dict[str, Callable[[], None]]:
        """What updates each coordinate, "z1" first, for :func:`ppvae.coordinate_ascent`."""
        return {f"z{i + 1}": partial(self.update, i) for i in range(len(self.loc))}

    def update(self, coordinate: int) -> None:
        """Set one factor to its best, the others held."""
        row = self.precision[coordinate]
        away = self.mean - self.loc
        others = row @ away - row[coordinate] * away[coordinate]
        self.mean[coordinate] = self.loc[coordinate] - others / row[coordinate]
        self.variance[coordinate] = 1 / row[coordinate]

    def elbo(self) -> Tensor:
        """E_q[log p(z) - log q(z)] = -KL(q || p), in nats, (): p is normalized."""
        q = MultivariateNormal(self.mean, scale_tril=self.variance.sqrt().diag_embed())
        return -kl_divergence(q, MultivariateNormal(self.loc, self.covariance))
