"""Priors that are mixtures of Gaussians: free ones, and VampPrior's."""

from collections.abc import Callable

import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn

from ppvae.distributions.diagonal_mixture import DiagonalMixture

__all__ = ["MixturePrior", "VampPrior"]


class MixturePrior(nn.Module):
    """The prior z ~ sum_c w_c N(m_c, diag(s_c^2)), with event shape (D,); w, m and s are learned.

    Args:
        latent_dim: D, at least 1.
        components: C, at least 1.
        spread: standard deviation of the draws, by torch's generator, that the m_c begin at;
            the s_c begin at 1.

    Raises:
        ValueError: latent_dim or components is below 1, or spread is not positive.
    """

    def __init__(self, latent_dim: int, components: int, spread: float = 1.0) -> None:
        super().__init__()
        for name, count in {"latent_dim": latent_dim, "components": components}.items():
            if count < 1:
                raise ValueError(f"{name} must be at least 1; got {count}.")
        if not spread > 0:
            raise ValueError(f"spread must be positive; got {spread}.")
        self.logits = nn.Parameter(torch.zeros(components))
        self.loc = nn.Parameter(spread * torch.randn(components, latent_dim))
        self.log_scale = nn.Parameter(torch.zeros(components, latent_dim))

    def forward(self) -> TorchDistribution:
        """Return p(z), with batch shape () and event shape (D,)."""
        return DiagonalMixture(self.logits, self.loc, self.log_scale.exp())


class VampPrior(nn.Module):
    """The prior z ~ sum_c w_c q(z|u_c), the guide's own code of pseudo-inputs u_c.

    With the training rows as pseudo-inputs and equal weights it is the aggregate posterior.

    Args:
        posterior: q(z|x) from rows (B, P), a diagonal Gaussian with batch shape (B,); the method
            ``guide.distribution`` of a :class:`ppvae.guides.GaussianGuide`, whose parameters the
            prior then shares.
        pseudo_inputs: u, (C, P), copied in torch's default dtype, as parameters are; C at least 1.
        learned: whether the u_c and the weights are learned.
        squash: what keeps u_c in the range of the data, such as ``torch.sigmoid`` for pixels in
            (0, 1), u_c being what it is applied to; nothing unless given.

    Raises:
        ValueError: pseudo_inputs are not rows, or q(z|x) is no diagonal Gaussian.

    Source: Tomczak & Welling (2018), arXiv:1705.07120.
    """

    def __init__(
        self,
        posterior: Callable[[Tensor], TorchDistribution],
        pseudo_inputs: Tensor,
        learned: bool = True,
        squash: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        if pseudo_inputs.dim() != 2 or len(pseudo_inputs) < 1:
            raise ValueError(
                f"pseudo_inputs must be (C, P); got shape {tuple(pseudo_inputs.shape)}."
            )
        self.posterior = posterior
        owner = getattr(posterior, "__self__", None)
        if isinstance(owner, nn.Module):
            self.guide = owner
        self.squash = squash
        rows = pseudo_inputs.detach().to(torch.get_default_dtype(), copy=True)
        self.pseudo_inputs = nn.Parameter(rows, requires_grad=learned)
        self.logits = nn.Parameter(torch.zeros(len(pseudo_inputs)), requires_grad=learned)

    def forward(self) -> TorchDistribution:
        """Return p(z), with batch shape () and event shape (D,)."""
        rows = self.pseudo_inputs if self.squash is None else self.squash(self.pseudo_inputs)
        posterior = self.posterior(rows)
        base = getattr(posterior, "base_dist", None)
        if not isinstance(base, dist.Normal) or posterior.event_dim != 1:
            raise ValueError(
                "posterior must give a diagonal Gaussian, Normal(...).to_event(1); "
                f"got {type(posterior).__name__}."
            )
        return DiagonalMixture(self.logits, base.loc, base.scale)
