"""One component of a mixture, scored as a part of the whole."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from ppvae.distributions.diagonal_mixture import DiagonalMixture

__all__ = ["Stratum"]


class Stratum(TorchDistribution):
    r"""z from component c of a mixture q, with event shape (D,), scored by log q(z) - log w_c.

    Beside log w_c of a site for the component that leaves log q(z), so that a guide which draws
    component and code has the density of the mixture. Where the component is summed out, each has
    draws of its own, and the bound is sum_c w_c E_c[log p(x, z) - log q(z)], in which no gradient
    has to cross from one mode to another.

    Args:
        mixture: q.
        component: c, whole numbers from 0 to C - 1 that broadcast with the batch of q.

    Source: Morningstar et al. (2021), arXiv:2003.01687, on stratified draws of mixtures.
    """

    arg_constraints: ClassVar = {}
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, mixture: DiagonalMixture, component: Tensor) -> None:
        self.mixture = mixture
        self.component = component
        batch_shape = torch.broadcast_shapes(mixture.batch_shape, component.shape)
        super().__init__(batch_shape, mixture.event_shape, validate_args=False)

    def expand(self, batch_shape: Any, _instance: Stratum | None = None) -> Stratum:
        """The same for a larger batch shape."""
        return Stratum(self.mixture, self.component.expand(torch.Size(batch_shape)))

    @property
    def mean(self) -> Tensor:
        """The component's mean, (..., D)."""
        return self._chosen(self.mixture.loc)

    @property
    def variance(self) -> Tensor:
        """The component's variance of each coordinate, (..., D)."""
        return self._chosen(self.mixture.scale) ** 2

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """A draw of the component with its path gradient, (..., D)."""
        loc, scale = self._chosen(self.mixture.loc), self._chosen(self.mixture.scale)
        shape = torch.Size(sample_shape) + self.batch_shape + self.event_shape
        noise = torch.randn(shape, dtype=loc.dtype, device=loc.device)
        return loc + scale * noise

    def log_prob(self, value: Tensor) -> Tensor:
        """Log q(z) - log w_c, (...,) nats."""
        log_weight = self._places() * self.mixture.logits.log_softmax(-1)
        return self.mixture.log_prob(value) - log_weight.sum(-1)

    def _chosen(self, of_components: Tensor) -> Tensor:
        return (self._places().unsqueeze(-1) * of_components).sum(-2)

    def _places(self) -> Tensor:
        """1 at the component and 0 elsewhere, (..., C)."""
        logits = self.mixture.logits
        every = torch.arange(logits.shape[-1], device=logits.device)
        return (self.component.unsqueeze(-1) == every).to(logits.dtype)
