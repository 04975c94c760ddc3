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

    def forward(self, x: Tensor) -> Tensor:
        """Score data x, (B, P); return the mean of p(x|z), (..., B, P)."""
        self._refuse(x)
        prior = dist.Normal(x.new_zeros(self.weight.shape[1]), 1.0).to_event(1)
        with pyro.plate("data", len(x), dim=-1):
            z = pyro.sample("z", prior)
            loc = z @ self.weight.T + self.bias
            pyro.sample("x", dist.Normal(loc, self.log_scale.exp()).to_event(1), obs=x)
        return loc

    def log_evidence(self, x: Tensor) -> Tensor:
        """Exact log p(x) = log N(x; b, W W' + s^2 I) of data (B, P), in nats, (B,)."""
        variance = (2 * self.log_scale).exp().expand_as(self.bias)
        marginal = dist.LowRankMultivariateNormal(
            torch.zeros_like(self.bias), self.weight, variance
        )
        return marginal.log_prob(self._centred(x))

    def posterior(self, x: Tensor) -> dist.MultivariateNormal:
        """Exact p(z|x) of data (B, P), with batch shape (B,) and event shape (D,)."""
        return dist.MultivariateNormal(self._loc(x), precision_matrix=self._precision())

    def mean_field_posterior(self, x: Tensor) -> dist.TorchDistribution:
        """The diagonal Gaussian nearest to p(z|x) in KL(q || p), with scale_i^2 = 1 / L_ii."""
        scale = self._precision().diagonal().rsqrt()
        return dist.Normal(self._loc(x), scale).to_event(1)

    def mean_field_gap(self) -> Tensor:
        """Its KL to p(z|x), (sum_i log L_ii - log det L) / 2, the same for all x, in nats, ()."""
        precision = self._precision()
        return 0.5 * (precision.diagonal().log().sum() - precision.logdet())

    def exact_guide(self, x: Tensor) -> Tensor:
        """Guide program q(z|x) = p(z|x): every bound is log p(x); return z, (..., B, D)."""
        posterior = self.posterior(x)
        with pyro.plate("data", len(x), dim=-1):
            return pyro.sample("z", posterior)

    def _precision(self) -> Tensor:
        eye = torch.eye(self.weight.shape[1], dtype=self.weight.dtype, device=self.weight.device)
        return eye + self.weight.T @ self.weight * (-2 * self.log_scale).exp()

    def _loc(self, x: Tensor) -> Tensor:
        signal = self._centred(x) @ self.weight * (-2 * self.log_scale).exp()
        return torch.linalg.solve(self._precision(), signal.T).T

    def _centred(self, x: Tensor) -> Tensor:
        self._refuse(x)
        return x - self.bias

    def _refuse(self, x: Tensor) -> None:
        if x.dim() != 2 or x.shape[-1] != len(self.bias):
            raise ValueError(f"x must be (B, {len(self.bias)}); got shape {tuple(x.shape)}.")
