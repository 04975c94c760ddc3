"""Bits and states relaxed to numbers with a density, so that a bound made of it is a true one."""

import math
from collections.abc import Sequence
from typing import Any

import pyro.distributions as dist
import torch
from torch import Tensor, nn
from torch.distributions import constraints
from torch.nn.functional import logsigmoid

__all__ = ["BinaryConcrete", "Concrete", "ReadBits", "ReadStates"]


class BinaryConcrete(dist.TorchDistribution):
    r"""The log-odds z of a relaxed bit sigma(z), shape (...).

    .. math:: z = (a + u) / \tau, \quad u \sim \mathrm{Logistic}(0, 1), \qquad
        \log p(z) = \log \tau + d - 2 \log(1 + e^d), \quad d = a - \tau z

    z is above 0 with probability sigma(a), whatever tau is: the bit 1[z > 0] is the one that is
    relaxed. Log-odds stay exact where sigma(z) rounds to 0 or 1.

    Args:
        logits: a, (...).
        temperature: tau, positive.

    Source: Maddison, Mnih & Teh (2017), arXiv:1611.00712.
    """

    arg_constraints: dict[str, constraints.Constraint] = {}  # noqa: RUF012
    support = constraints.real
    has_rsample = True

    def __init__(self, logits: Tensor, temperature: float) -> None:
        self.logits = logits
        self.temperature = temperature
        super().__init__(logits.shape, validate_args=False)

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> "BinaryConcrete":
        """Return the same distribution over a larger batch."""
        return BinaryConcrete(self.logits.expand(*batch_shape), self.temperature)

    @property
    def mean(self) -> Tensor:
        """The mean a / tau, (...)."""
        return self.logits / self.temperature

    @property
    def variance(self) -> Tensor:
        """The variance pi^2 / (3 tau^2), (...)."""
        return torch.full_like(self.logits, math.pi**2 / (3 * self.temperature**2))

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density of log-odds, (...) nats."""
        d = self.logits - self.temperature * value
        return math.log(self.temperature) + logsigmoid(d) + logsigmoid(-d)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Return log-odds, (...), with a path to the logits."""
        shape = (*sample_shape, *self.batch_shape)
        tiny = torch.finfo(self.logits.dtype).eps
        noise = torch.rand(shape, dtype=self.logits.dtype, device=self.logits.device)
        noise = noise.clamp(tiny, 1 - tiny)
        return (self.logits + noise.log() - (-noise).log1p()) / self.temperature


class _LogSimplex(constraints.Constraint):
    """Logarithms of points of a simplex, up to rounding."""

    is_discrete = False
    event_dim = 1

    def check(self, value: Tensor) -> Tensor:
        """Whether each vector is one."""
        return value.logsumexp(-1).abs() < 1e-3


class Concrete(dist.TorchDistribution):
    r"""The logarithm z of a point of the simplex, a relaxed state of C, event shape (C,).

    .. math:: z = \log \mathrm{softmax}((a + g) / \tau), \quad g_c \sim \mathrm{Gumbel}(0, 1),
        \qquad \log p(z) = \log (C - 1)! + (C - 1) \log \tau
        + \sum_c [d_c - \log \sum_{c'} e^{d_{c'}}], \quad d = a - \tau z

    The density is that of z on the surface sum_c exp(z_c) = 1. The largest coordinate is c with
    probability softmax(a)_c, whatever tau is: that is the state which is relaxed.

    Args:
        logits: a, (..., C).
        temperature: tau, positive.

    Source: Maddison, Mnih & Teh (2017), arXiv:1611.00712; Jang, Gu & Poole (2017),
    arXiv:1611.01144.
    """

    arg_constraints: dict[str, constraints.Constraint] = {}  # noqa: RUF012
    support = _LogSimplex()
    has_rsample = True

    def __init__(self, logits: Tensor, temperature: float) -> None:
        self.logits = logits
        self.temperature = temperature
        super().__init__(logits.shape[:-1], logits.shape[-1:], validate_args=False)

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> "Concrete":
        """Return the same distribution over a larger batch."""
        return Concrete(self.logits.expand(*batch_shape, *self.event_shape), self.temperature)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density of z, (...) nats."""
        states = self.event_shape[0]
        constant = math.lgamma(states) + (states - 1) * math.log(self.temperature)
        return constant + (self.logits - self.temperature * value).log_softmax(-1).sum(-1)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Return logarithms of points of the simplex, (..., C), with a path to the logits."""
        shape = (*sample_shape, *self.batch_shape, *self.event_shape)
        tiny = torch.finfo(self.logits.dtype).eps
        noise = torch.rand(shape, dtype=self.logits.dtype, device=self.logits.device)
        gumbel = -(-noise.clamp(tiny, 1 - tiny).log()).log()
        return ((self.logits + gumbel) / self.temperature).log_softmax(-1)


class ReadBits(nn.Module):
    """What a decoder reads of log-odds z, (..., D): relaxed bits sigma(z), or bits 1[z > 0].

    Bits pass gradients on as if they were the relaxed ones (straight through), which biases them.
    With bits, p(x) is that of the model of bits without any relaxation, and every bound of the pair
    a bound on that.

    Args:
        hard: whether they are bits.

    Source: Bengio, Leonard & Courville (2013), arXiv:1308.3432, on passing gradients on.
    """

    def __init__(self, hard: bool = False) -> None:
        super().__init__()
        self.hard = hard

    def forward(self, z: Tensor) -> Tensor:
        """Map log-odds, (..., D), to numbers in [0, 1], (..., D)."""
        soft = torch.sigmoid(z)
        return _straight_through((z > 0).to(z.dtype), soft) if self.hard else soft


class ReadStates(nn.Module):
    """What a decoder reads of z, (..., D, C): relaxed states exp(z), or the largest one alone.

    Args:
        hard: whether a state is its corner of the simplex; as with :class:`ReadBits`.
    """

    def __init__(self, hard: bool = False) -> None:
        super().__init__()
        self.hard = hard

    def forward(self, z: Tensor) -> Tensor:
        """Map z, (..., D, C), to points of D simplices side by side, (..., D C)."""
        soft = z.exp()
        if self.hard:
            corner = torch.zeros_like(z).scatter(-1, z.argmax(-1, keepdim=True), 1.0)
            soft = _straight_through(corner, soft)
        return soft.flatten(-2)


def _straight_through(value: Tensor, slope: Tensor) -> Tensor:
    """The first, with the gradient of the second."""
    return value + (slope - slope.detach())
