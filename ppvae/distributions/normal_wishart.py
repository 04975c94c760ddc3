"""The normal-Wishart distribution of a Gaussian's mean and precision, conjugate to it.

    mu | Lambda ~ N(m, (beta Lambda)^-1)
    Lambda      ~ W(W, nu)

beta and nu count rows: what the mean and the precision were known from beforehand.
"""

import math
from dataclasses import dataclass

import pyro.distributions as dist
import torch
from torch import Tensor

from ppvae.distributions.wishart import Wishart

__all__ = ["NormalWishart"]


@dataclass(frozen=True, eq=False)
class NormalWishart:
    """N(mu; m, (beta Lambda)^-1) W(Lambda; W, nu), one or a batch of them.

    Args:
        loc: m, (..., P).
        beta: what the mean of the prior counts in rows, (...), positive.
        inverse_scale: W^-1, (..., P, P), positive definite; E[Lambda] = nu W.
        nu: degrees of freedom, (...), above P - 1.

    Raises:
        ValueError: shapes do not fit together, or beta or nu is too small.

    Source: Bishop (2006), Pattern recognition and machine learning, section 10.2, eqs. 10.40 and
    10.59 to 10.65.
    """

    loc: Tensor
    beta: Tensor
    inverse_scale: Tensor
    nu: Tensor

    def __post_init__(self) -> None:
        size, batch = self.loc.shape[-1:], self.loc.shape[:-1]
        shapes = [self.inverse_scale.shape, self.beta.shape, self.nu.shape]
        if self.loc.dim() < 1 or shapes != [batch + size + size, batch, batch]:
            raise ValueError(
                "loc (..., P), inverse_scale (..., P, P), beta and nu (...) must fit together; got "
                f"shapes {tuple(self.loc.shape)}, {', '.join(str(tuple(s)) for s in shapes)}."
            )

    def require_proper(self) -> "NormalWishart":
        """Return itself; refuse what is no distribution.

        Raises:
            ValueError: beta is not positive, nu is not above P - 1, or inverse_scale is not
                positive definite.
        """
        size = self.loc.shape[-1]
        if not bool((self.beta > 0).all()):
            raise ValueError(f"beta must be positive; got {float(self.beta.min()):g}.")
        if not bool((self.nu > size - 1).all()):
            raise ValueError(f"nu must be above P - 1 = {size - 1}; got {float(self.nu.min()):g}.")
        if bool((torch.linalg.cholesky_ex(self.inverse_scale).info != 0).any()):
            raise ValueError("inverse_scale must be positive definite; got one that is not.")
        return self

    def precision(self) -> Wishart:
        """Return p(Lambda), with batch shape (...) and event shape (P, P)."""
        return Wishart(self.nu, self.inverse_scale)

    def mean_given(self, precision: Tensor) -> dist.MultivariateNormal:
        """Return p(mu | Lambda) for precisions (..., P, P), with event shape (P,)."""
        scaled = self.beta[..., None, None] * precision
        return dist.MultivariateNormal(self.loc, precision_matrix=scaled)

    def posterior(self, counts: Tensor, sums: Tensor, squares: Tensor) -> "NormalWishart":
        """Return what is known after rows were seen, each with a weight r_n.

        Args:
            counts: N = sum_n r_n, (...).
            sums: sum_n r_n (x_n - m), rows measured from this distribution's m, (..., P).
            squares: sum_n r_n (x_n - m)(x_n - m)', (..., P, P).
        """
        beta = self.beta + counts
        # N S + beta N / (beta + N) (x - m)(x - m)' of eq. 10.62, without a division by N.
        moved = sums / beta[..., None]
        taken = beta[..., None, None] * moved.unsqueeze(-1) * moved.unsqueeze(-2)
        return NormalWishart(
            self.loc + moved, beta, self.inverse_scale + squares - taken, self.nu + counts
        )

    def expected_log_density(self, x: Tensor) -> Tensor:
        """Return E[log N(x; mu, Lambda^-1)] for rows (N, P), in nats, (N, ...)."""
        size = self.loc.shape[-1]
        centred = x.reshape(len(x), *[1] * (self.loc.dim() - 1), size) - self.loc
        solved = torch.linalg.solve(self.inverse_scale, centred.unsqueeze(-1)).squeeze(-1)
        square = size / self.beta + self.nu * (centred * solved).sum(-1)
        return (self.precision().expected_log_det - size * math.log(2 * math.pi) - square) / 2

    def kl(self, prior: "NormalWishart") -> Tensor:
        """Return KL(self || prior), in nats, (...)."""
        size = self.loc.shape[-1]
        ours, theirs = self.precision(), prior.precision()
        difference = self.loc - prior.loc
        solved = torch.linalg.solve(self.inverse_scale, difference.unsqueeze(-1)).squeeze(-1)
        square = size / self.beta + self.nu * (difference * solved).sum(-1)
        # As matrices: one (P, P) would pass for P vectors where there are P components.
        scales = prior.inverse_scale.expand_as(self.inverse_scale)
        trace = torch.linalg.solve(self.inverse_scale, scales)
        trace = self.nu * trace.diagonal(dim1=-2, dim2=-1).sum(-1)
        of_means = (size * (self.beta / prior.beta).log() - size + prior.beta * square) / 2
        of_precisions = ours.log_normalizer - theirs.log_normalizer
        of_precisions = of_precisions + (self.nu - prior.nu) * ours.expected_log_det / 2
        return of_means + of_precisions + (trace - self.nu * size) / 2
