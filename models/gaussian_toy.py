"""The Gaussian toy on which K-sample bounds and their gradients were studied.

    z ~ N(mu, I)           code, (B, D)
    x | z ~ N(z, I)        data, (B, D)

so that p(x) = N(mu, 2 I) and p(z|x) = N((x + mu) / 2, I / 2).

Source: Rainforth et al. (2018), Tighter variational bounds are not necessarily better,
arXiv:1802.04537.
"""

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroModule
from torch import Tensor, nn

__all__ = ["GaussianToy"]


class GaussianToy(PyroModule):
    """p(z) p(x|z) with mu as its one parameter.

    Args:
        mu: mean of the prior, (D,).

    Raises:
        ValueError: mu is not (D,), D at least 1, or x is not (B, D).
    """

    def __init__(self, mu: Tensor) -> None:
        super().__init__()
        if mu.dim() != 1 or not len(mu):
            raise ValueError(f"mu must be (D,), D at least 1; got shape {tuple(mu.shape)}.")
        # Pyro never trains a parameter that is not contiguous.
        self.mu = nn.Parameter(mu.detach().clone(memory_format=torch.contiguous_format))

    def forward(self, x: Tensor) -> Tensor:
        """Score data x, (B, D); return the mean of p(x|z), which is z, (..., B, D)."""
        self._refuse(x)
        with pyro.plate("data", len(x), dim=-1):
            z = pyro.sample("z", dist.Normal(self.mu, 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z, 1.0).to_event(1), obs=x)
        return z

    def log_evidence(self, x: Tensor) -> Tensor:
        """Exact log p(x) = log N(x; mu, 2 I) of data (B, D), in nats, (B,)."""
        self._refuse(x)
        return dist.Normal(self.mu, 2**0.5).log_prob(x).sum(-1)

    def posterior(self, x: Tensor) -> dist.TorchDistribution:
        """Exact p(z|x) of data (B, D), with batch shape (B,) and event shape (D,)."""
        self._refuse(x)
        return dist.Normal((x + self.mu) / 2, 0.5**0.5).to_event(1)

    def _refuse(self, x: Tensor) -> None:
        if x.dim() != 2 or x.shape[-1] != len(self.mu):
            raise ValueError(f"x must be (B, {len(self.mu)}); got shape {tuple(x.shape)}.")
