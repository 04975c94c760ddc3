"""A mixture of diagonal Gaussians whose draws have a path gradient."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

__all__ = ["DiagonalMixture"]

_LOG_2_PI = math.log(2 * math.pi)


class DiagonalMixture(TorchDistribution):
    r"""sum_c w_c N(loc_c, diag(scale_c^2)) with event shape (D,).

    A draw is differentiated implicitly, coordinate by coordinate: with F_d the distribution
    function of z_d given the coordinates before it,

    .. math:: \partial z_d = -\partial F_d(z_d | z_{<d}) / q(z_d | z_{<d})

    so that weights have a path gradient as locations and scales have.

    Args:
        logits: log w_c up to a constant, (..., C).
        loc: (..., C, D).
        scale: positive, (..., C, D).

    Raises:
        ValueError: the shapes do not fit, or validation is on and a value breaks these rules.

    Source: Figurnov, Mohamed & Mnih (2018), arXiv:1805.08498, on mixtures.
    """

    arg_constraints: ClassVar = {
        "logits": constraints.real_vector,
        "loc": constraints.independent(constraints.real, 2),
        "scale": constraints.independent(constraints.positive, 2),
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self, logits: Tensor, loc: Tensor, scale: Tensor, validate_args: bool | None = None
    ) -> None:
        if loc.shape != scale.shape or logits.shape[-1] != loc.shape[-2]:
            raise ValueError(
                "logits (..., C), loc and scale (..., C, D) must fit; got shapes "
                f"{tuple(logits.shape)}, {tuple(loc.shape)} and {tuple(scale.shape)}."
            )
        batch_shape = torch.broadcast_shapes(logits.shape[:-1], loc.shape[:-2])
        self.logits = logits.expand(*batch_shape, logits.shape[-1])
        self.loc = loc.expand(*batch_shape, *loc.shape[-2:])
        self.scale = scale.expand(self.loc.shape)
        super().__init__(batch_shape, loc.shape[-1:], validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: DiagonalMixture | None = None) -> DiagonalMixture:
        """The same for a larger batch shape."""
        shape = torch.Size(batch_shape)
        return DiagonalMixture(
            self.logits.expand(*shape, -1),
            self.loc.expand(*shape, -1, -1),
            self.scale.expand(*shape, -1, -1),
            validate_args=False,
        )

    @property
    def mean(self) -> Tensor:
        """The mean, (..., D)."""
        return (self.logits.softmax(-1).unsqueeze(-1) * self.loc).sum(-2)

    @property
    def variance(self) -> Tensor:
        """The variance of each coordinate, (..., D)."""
        weight = self.logits.softmax(-1).unsqueeze(-1)
        square = (weight * (self.scale**2 + self.loc**2)).sum(-2)
        return square - self.mean**2

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density, (...,) nats."""
        if self._validate_args:
            self._validate_sample(value)
        parts = self._log_parts(value).sum(-1)
        return (self.logits.log_softmax(-1) + parts).logsumexp(-1)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """A draw with a path gradient to weights, locations and scales, (..., D)."""
        with torch.no_grad():
            drawn = self._drawn(torch.Size(sample_shape))
        if not any(each.requires_grad for each in (self.logits, self.loc, self.scale)):
            return drawn
        return self._attached(drawn)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """A draw without a gradient, (..., D)."""
        with torch.no_grad():
            return self._drawn(torch.Size(sample_shape))

    def _drawn(self, sample_shape: torch.Size) -> Tensor:
        shape = sample_shape + self.batch_shape
        # The largest of log w + Gumbel noise is a draw of the component.
        uniform = torch.rand(*shape, self.logits.shape[-1]).to(self.logits)
        noise = -(-uniform.clamp(min=torch.finfo(uniform.dtype).tiny).log()).log()
        component = (self.logits + noise).argmax(-1)[..., None, None]
        place = component.expand(*shape, 1, self.event_shape[0])
        loc, scale = (
            each.expand(*shape, *each.shape[-2:]).gather(-2, place).squeeze(-2)
            for each in (self.loc, self.scale)
        )
        return loc + scale * torch.randn_like(loc)

    def _attached(self, drawn: Tensor) -> Tensor:
        """The same values with the gradient of the coordinates' distribution functions."""
        log_weight = self.logits.log_softmax(-1).expand(*drawn.shape[:-1], -1)
        coordinates: list[Tensor] = []
        for place in range(drawn.shape[-1]):
            fixed = drawn[..., place]
            loc, scale = self.loc[..., place], self.scale[..., place]
            weight = log_weight.softmax(-1)
            standard = (fixed.unsqueeze(-1) - loc) / scale
            below = (weight * torch.special.ndtr(standard)).sum(-1)
            density = (weight * (_log_normal(standard) - scale.log()).exp()).sum(-1).detach()
            tiny = torch.finfo(density.dtype).tiny
            z = fixed - (below - below.detach()) / density.clamp(min=tiny)
            coordinates.append(z)
            # What this coordinate, the path through it included, says of the component.
            log_weight = log_weight + _log_normal((z.unsqueeze(-1) - loc) / scale) - scale.log()
        return torch.stack(coordinates, -1)

    def _log_parts(self, value: Tensor) -> Tensor:
        standard = (value.unsqueeze(-2) - self.loc) / self.scale
        return _log_normal(standard) - self.scale.log()


def _log_normal(standard: Tensor) -> Tensor:
    return -0.5 * (standard**2 + _LOG_2_PI)
