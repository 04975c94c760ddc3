"""The linear-Gaussian model, in which every integral is a closed formula.

    z ~ N(0, I)                      code, (B, D)
    x | z ~ N(W z + b, s^2 I)        data, (B, P)

With L = I + W'W / s^2, the precision of a code given its datum,

    p(x)   = N(b, W W' + s^2 I)
    p(z|x) = N(L^-1 W'(x - b) / s^2, L^-1)

Source: Tipping & Bishop (1999), Probabilistic principal component analysis.
"""

import math

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroModule
from torch import Tensor, nn

from ppvae.distributions import masked
from ppvae.networks import filled

__all__ = ["LinearGaussian"]


class LinearGaussian(PyroModule):
    """p(z) p(x|z) with a linear decoder; W, b and log s are parameters.

    Args:
        weight: W, (P, D).
        bias: b, (P,); zero if not given.
        scale: s, positive.

    Raises:
        ValueError: a shape or the scale breaks these rules, or x is not (B, P).
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None, scale: float = 1.0) -> None:
        super().__init__()
        if weight.dim() != 2 or 0 in weight.shape:
            raise ValueError(
                f"weight must be (P, D), P and D at least 1; got shape {tuple(weight.shape)}."
            )
        bias = weight.new_zeros(len(weight)) if bias is None else bias
        if bias.shape != weight.shape[:1]:
            raise ValueError(
                f"bias must be as long as weight, {len(weight)}; got shape {tuple(bias.shape)}."
            )
        if not 0 < scale < math.inf:
            raise ValueError(f"scale must be positive and finite; got {scale}.")
        # Pyro never trains a parameter that is not contiguous.
        copy = {"memory_format": torch.contiguous_format}
        self.weight = nn.Parameter(weight.detach().clone(**copy))
        self.bias = nn.Parameter(bias.detach().clone(**copy))
        self.log_scale = nn.Parameter(weight.new_tensor(scale).log())

    @classmethod
    def random(
        cls, data_dim: int, latent_dim: int, generator: torch.Generator | None = None
    ) -> "LinearGaussian":
        """Return a model with W_ij ~ N(0, 1/D), b = 0 and s = 1: each x_i has variance near 2."""
        weight = torch.randn(data_dim, latent_dim, generator=generator)
        return cls(weight / latent_dim**0.5)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Score data x, (B, P), all or what a mask leaves; return the mean of p(x|z)."""
        self._refuse(x)
        prior = dist.Normal(x.new_zeros(self.weight.shape[1]), 1.0).to_event(1)
        with pyro.plate("data", len(x), dim=-1):
            z = pyro.sample("z", prior)
            loc = z @ self.weight.T + self.bias
            pyro.sample("x", self._likelihood(loc, mask), obs=x)
        return loc

    def log_evidence(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Exact log p(x) of data (B, P), or of what a mask leaves of them, in nats, (B,)."""
        posterior = self.posterior(x, mask)
        # Bayes' rule, which holds at every code: log p(x, z) - log p(z|x) at the mean of z.
        z = posterior.mean
        likelihood = self._likelihood(z @ self.weight.T + self.bias, mask)
        log_prior = dist.Normal(torch.zeros_like(z), 1.0).to_event(1).log_prob(z)
        return likelihood.log_prob(x) + log_prior - posterior.log_prob(z)

    def posterior(self, x: Tensor, mask: Tensor | None = None) -> dist.MultivariateNormal:
        """Exact p(z|x) of data (B, P), all or what a mask leaves, with event shape (D,)."""
        return dist.MultivariateNormal(self._loc(x, mask), precision_matrix=self._precision(mask))

    def mean_field_posterior(self, x: Tensor) -> dist.TorchDistribution:
        """The diagonal Gaussian nearest to p(z|x) in KL(q || p), with scale_i^2 = 1 / L_ii."""
        return dist.Normal(self._loc(x), self._precision().diagonal().rsqrt()).to_event(1)

    def mean_field_gap(self) -> Tensor:
        """Its KL to p(z|x), (sum_i log L_ii - log det L) / 2, the same for all x, in nats, ()."""
        return 0.5 * (self._precision().diagonal().log().sum() - self._precision().logdet())

    def exact_guide(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Guide program q(z|x) = p(z|x): every bound is log p(x); return z, (..., B, D)."""
        with pyro.plate("data", len(x), dim=-1):
            return pyro.sample("z", self.posterior(x, mask))

    def _likelihood(self, loc: Tensor, mask: Tensor | None) -> dist.TorchDistribution:
        return masked(dist.Normal(loc, self.log_scale.exp()).to_event(1), mask)

    def _precision(self, mask: Tensor | None = None) -> Tensor:
        eye = torch.eye(self.weight.shape[1], dtype=self.weight.dtype, device=self.weight.device)
        seen = self.weight if mask is None else self.weight * mask.unsqueeze(-1)
        return eye + seen.mT @ self.weight * (-2 * self.log_scale).exp()

    def _loc(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        self._refuse(x)
        signal = filled(x - self.bias, mask) @ self.weight * (-2 * self.log_scale).exp()
        if mask is None:
            return torch.linalg.solve(self._precision(), signal.T).T
        return torch.linalg.solve(self._precision(mask), signal)

    def _refuse(self, x: Tensor) -> None:
        if x.dim() != 2 or x.shape[-1] != len(self.bias):
            raise ValueError(f"x must be (B, {len(self.bias)}); got shape {tuple(x.shape)}.")
