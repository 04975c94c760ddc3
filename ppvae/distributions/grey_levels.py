"""Grey values as what they are, one of so many levels between 0 and 1, and their likelihoods."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn
from torch.distributions import constraints
from torch.distributions.constraints import Constraint
from torch.nn.functional import logsigmoid

__all__ = [
    "CategoricalLikelihood",
    "DiscretizedLogistic",
    "DiscretizedLogisticLikelihood",
    "Levels",
]


class Levels(Constraint):
    """Multiples of 1 / (L - 1) from 0 to 1, up to rounding."""

    is_discrete = True
    event_dim = 0

    def __init__(self, levels: int) -> None:
        self.levels = levels
        super().__init__()

    @property
    def words(self) -> str:
        """What the values must be."""
        return f"multiples of 1/{self.levels - 1} from 0 to 1"

    def check(self, value: Tensor) -> Tensor:
        """Whether each value is one."""
        place = value * (self.levels - 1)
        return ((place - place.round()).abs() < 1e-3) & (value > -1e-6) & (value < 1 + 1e-6)


class GreyLevels(TorchDistribution):
    """A value that is one of L levels k / (L - 1), from the probability of each, shape (...).

    Args:
        logits: log-probabilities up to a constant, (..., L).
    """

    arg_constraints: ClassVar = {"logits": constraints.real_vector}

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits.log_softmax(-1)
        super().__init__(logits.shape[:-1], validate_args=False)

    @property
    def support(self) -> Constraint:
        """The levels."""
        return Levels(self.logits.shape[-1])

    def expand(self, batch_shape: Any, _instance: GreyLevels | None = None) -> GreyLevels:
        """The same for a larger batch shape."""
        return GreyLevels(self.logits.expand(*batch_shape, -1))

    @property
    def mean(self) -> Tensor:
        """The mean, (...)."""
        levels = self.logits.shape[-1]
        values = torch.linspace(0, 1, levels, dtype=self.logits.dtype, device=self.logits.device)
        return (self.logits.exp() * values).sum(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-probability of the level nearest to each value, (...) nats."""
        place = (value * (self.logits.shape[-1] - 1)).round().long()
        shape = torch.broadcast_shapes(place.shape, self.batch_shape)
        logits = self.logits.expand(*shape, -1)
        return logits.gather(-1, place.expand(shape).unsqueeze(-1)).squeeze(-1)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draws, (...)."""
        place = torch.distributions.Categorical(logits=self.logits).sample(sample_shape)
        return place.to(self.logits.dtype) / (self.logits.shape[-1] - 1)


class DiscretizedLogistic(TorchDistribution):
    r"""A value that is one of L levels, the logistic mass around it, shape (...).

    .. math:: P(x) = \sum_m w_m [\sigma((x + h - \mu_m) / s_m) - \sigma((x - h - \mu_m) / s_m)],
        \quad h = 1 / (2 (L - 1))

    where the lowest level takes all mass below it and the highest all above.

    Args:
        loc: mu, (..., M).
        scale: s, positive, (..., M).
        logits: log w up to a constant, (..., M).
        levels: L, at least 2.

    Source: Salimans et al. (2017), PixelCNN++, arXiv:1701.05517, section 2.1.
    """

    arg_constraints: ClassVar = {}

    def __init__(self, loc: Tensor, scale: Tensor, logits: Tensor, levels: int = 256) -> None:
        self.loc, self.scale, self.logits = torch.broadcast_tensors(loc, scale, logits)
        self.levels = levels
        super().__init__(self.loc.shape[:-1], validate_args=False)

    @property
    def support(self) -> Constraint:
        """The levels."""
        return Levels(self.levels)

    def expand(
        self, batch_shape: Any, _instance: DiscretizedLogistic | None = None
    ) -> DiscretizedLogistic:
        """The same for a larger batch shape."""
        loc, scale, logits = (
            part.expand(*batch_shape, -1) for part in (self.loc, self.scale, self.logits)
        )
        return DiscretizedLogistic(loc, scale, logits, self.levels)

    @property
    def mean(self) -> Tensor:
        """The mean, (...): the sum over levels of the mass above the one before."""
        weight, total = self.logits.softmax(-1), torch.zeros_like(self.loc[..., 0])
        for level in range(1, self.levels):
            edge = (level - 0.5) / (self.levels - 1)
            total = total + (weight * torch.sigmoid((self.loc - edge) / self.scale)).sum(-1)
        return total / (self.levels - 1)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-probability, (...) nats, exact in tails where both sigmoids round to 0 or 1."""
        half = 0.5 / (self.levels - 1)
        x = value.unsqueeze(-1)
        above = logsigmoid((x + half - self.loc) / self.scale)
        below = logsigmoid(-(x - half - self.loc) / self.scale)
        # sigma(a) - sigma(b) = sigma(a) sigma(-b) (1 - exp(b - a)).
        width = torch.log(-torch.expm1(-2 * half / self.scale))
        inner = above + below + width
        mass = torch.where(x < half, above, torch.where(x > 1 - half, below, inner))
        return (self.logits.log_softmax(-1) + mass).logsumexp(-1)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draws, (...)."""
        with torch.no_grad():
            shape = torch.Size(sample_shape) + self.batch_shape
            which = torch.distributions.Categorical(logits=self.logits).sample(sample_shape)
            place = which.unsqueeze(-1)
            loc, scale = (
                part.expand(*shape, -1).gather(-1, place).squeeze(-1)
                for part in (self.loc, self.scale)
            )
            tiny = torch.finfo(loc.dtype).eps
            noise = torch.logit(torch.rand(shape).to(loc).clamp(tiny, 1 - tiny))
            steps = self.levels - 1
            return ((loc + scale * noise) * steps).round().clamp(0, steps) / steps


class DiscretizedLogisticLikelihood(nn.Module):
    """p(x|z) of independent grey values, each a mixture of discretized logistics.

    With (a, b, c) the three parts of the decoder's output, each (..., P M),

        x_i ~ DiscretizedLogistic(loc a_i, scale min_scale + softplus(b_i), logits c_i)

    For M = 1 there is no c.

    Args:
        components: M, at least 1.
        levels: L, at least 2; x holds multiples of 1 / (L - 1).
        min_scale: positive.

    Raises:
        ValueError: an argument breaks these rules, or the decoder's width is no multiple of what
            a pixel takes.
    """

    def __init__(self, components: int = 1, levels: int = 256, min_scale: float = 1e-3) -> None:
        super().__init__()
        for name, count, least in (("components", components, 1), ("levels", levels, 2)):
            if count < least:
                raise ValueError(f"{name} must be at least {least}; got {count}.")
        if not 0 < min_scale < math.inf:
            raise ValueError(f"min_scale must be positive and finite; got {min_scale}.")
        self.components = components
        self.levels = levels
        self.min_scale = float(min_scale)

    def forward(self, params: Tensor) -> TorchDistribution:
        """Return p(x|z) with event shape (P,) from (..., 3 P M), or (..., 2 P) for M = 1."""
        parts = 3 if self.components > 1 else 2
        each = parts * self.components
        if params.shape[-1] % each:
            raise ValueError(
                f"decoder must be {each} P wide for {self.components} components; "
                f"got {params.shape[-1]}."
            )
        loc, raw, *rest = params.unflatten(-1, (parts, -1, self.components)).unbind(-3)
        scale = self.min_scale + nn.functional.softplus(raw)
        logits = rest[0] if rest else torch.zeros_like(loc)
        return DiscretizedLogistic(loc, scale, logits, self.levels).to_event(1)


class CategoricalLikelihood(nn.Module):
    """p(x|z) of independent grey values, any probabilities of L levels.

    Args:
        levels: L, at least 2; x holds multiples of 1 / (L - 1).

    Raises:
        ValueError: levels is below 2, or the decoder's width is no multiple of it.
    """

    def __init__(self, levels: int = 256) -> None:
        super().__init__()
        if levels < 2:
            raise ValueError(f"levels must be at least 2; got {levels}.")
        self.levels = levels

    def forward(self, params: Tensor) -> TorchDistribution:
        """Return p(x|z) with event shape (P,) from logits, (..., P L)."""
        if params.shape[-1] % self.levels:
            raise ValueError(
                f"decoder must be {self.levels} P wide for as many levels; got {params.shape[-1]}."
            )
        return GreyLevels(params.unflatten(-1, (-1, self.levels))).to_event(1)
