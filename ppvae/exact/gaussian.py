"""A pair whose posterior and guide are Gaussian: every quantity is a closed formula.

With r = w / p(x) = p(z|x) / q(z|x), p(z|x) = N(m, P^-1), q(z|x) = N(n, Q^-1) and d = m - n,

    log E_q[r^s] = (s log|P| + (1 - s) log|Q| - log|M| + s^2 d'P M^-1 P d - s d'P d) / 2,
    M = s P + (1 - s) Q

where M is positive definite; elsewhere the expectation is infinite (for s < 0 or s > 1).
"""

from collections.abc import Callable

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import Distribution, MultivariateNormal, kl_divergence

__all__ = ["ExactGaussian"]

# Of x (B, P), and of a mask of it where the model takes one.
Conditional = Callable[..., TorchDistribution]


class ExactGaussian:
    """Closed formulas from log p(x), the posterior and the guide, all as functions of x.

    Each is differentiable in the parameters of the pair, on their device and in their dtype.

    Args:
        log_evidence: log p(x), from x (B, P), and from a mask where one is given, to (B,) nats.
        posterior: p(z|x), Gaussian with batch shape (B,) and event shape (D,).
        guided: q(z|x), likewise.
    """

    def __init__(
        self, log_evidence: Callable[..., Tensor], posterior: Conditional, guided: Conditional
    ) -> None:
        self.log_evidence = log_evidence
        self.posterior = posterior
        self.guided = guided

    def elbo(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """E_q[log p(x, z) - log q(z|x)] = log p(x) - gap, in nats, (B,)."""
        return self.log_evidence(x, *_given(mask)) - self.gap(x, mask)

    def gap(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """KL(q(z|x) || p(z|x)), what the ELBO lies below log p(x), in nats, (B,)."""
        guided, posterior = self.guided(x, *_given(mask)), self.posterior(x, *_given(mask))
        return kl_divergence(_dense(guided), _dense(posterior))

    def cross_entropy(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """-E_p[log q(z|x)] under p(z|x), in nats, (B,)."""
        posterior = _dense(self.posterior(x, *_given(mask)))
        guided = _dense(self.guided(x, *_given(mask)))
        return posterior.entropy() + kl_divergence(posterior, guided)

    def log_moment(self, x: Tensor, power: float) -> Tensor:
        """Log E_q[(w / p(x))^s], (B,), by the formula above.

        It gives the Renyi bound, log p(x) + log_moment(x, 1 - alpha) / (1 - alpha), and CUBO,
        log p(x) + log_moment(x, n) / n.

        Args:
            x: data, (B, P).
            power: s.

        Raises:
            ValueError: the expectation is infinite.
        """
        posterior, guided = _dense(self.posterior(x)), _dense(self.guided(x))
        ours, theirs = posterior.precision_matrix, guided.precision_matrix
        mixed = power * ours + (1 - power) * theirs
        lowest = torch.linalg.eigvalsh(mixed.detach()).min()
        if not lowest > 0:
            raise ValueError(
                "power must leave E_q[(w / p(x))^power] finite, the lowest eigenvalue of power * "
                f"P + (1 - power) * Q above 0; got power {power:g}, eigenvalue {lowest:.3g}."
            )
        signal = (ours @ (posterior.loc - guided.loc).unsqueeze(-1)).squeeze(-1)
        square = ((posterior.loc - guided.loc) * signal).sum(-1)
        solved = torch.linalg.solve(mixed, signal.unsqueeze(-1)).squeeze(-1)
        volumes = power * ours.logdet() + (1 - power) * theirs.logdet() - mixed.logdet()
        return 0.5 * (volumes + power**2 * (signal * solved).sum(-1) - power * square)

    def iwae_limit(self, x: Tensor) -> Tensor:
        """What K (log p(x) - L_K) tends to: Var_q(w) / (2 p(x)^2), in nats, (B,).

        Raises:
            ValueError: the variance of w is infinite.

        Source: Rainforth et al. (2018), arXiv:1802.04537; Maddison et al. (2017),
        arXiv:1705.09279, on the first order in 1 / K.
        """
        return torch.expm1(self.log_moment(x, 2.0)) / 2


def _given(mask: Tensor | None) -> tuple[Tensor, ...]:
    return () if mask is None else (mask,)


def _dense(gaussian: Distribution) -> MultivariateNormal:
    """A Gaussian with independent coordinates, or one that is dense already, as a dense one."""
    if isinstance(gaussian, MultivariateNormal):
        return gaussian
    return MultivariateNormal(gaussian.mean, scale_tril=torch.diag_embed(gaussian.stddev))
