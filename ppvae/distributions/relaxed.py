"""Labels relaxed to points between the corners of a simplex, so that draws have a path."""

import math
from collections.abc import Sequence
from typing import Any

import pyro.distributions as dist
import torch
from torch import Tensor, nn
from torch.distributions import constraints

from ppvae.distributions.categorical_prior import refuse_probabilities
from ppvae.distributions.observed import PartlyObserved
from ppvae.networks.one_hot import one_hot

__all__ = ["GumbelLabels", "RelaxedLabel", "RelaxedPrior", "refuse_temperature"]


class RelaxedLabel(dist.TorchDistribution):
    r"""Gumbel-softmax draws of a label, scored by the label's own probabilities.

    .. math:: y = \mathrm{softmax}((l + g) / \tau), \quad g_c \sim \mathrm{Gumbel}(0, 1), \qquad
        \log q(y) := \sum_c y_c \log \mathrm{softmax}(l)_c

    What is scored is exact at the corners and a line between them, in model and guide alike: the
    objective of the label with a soft label in its place. It is no density of y, so that a bound
    made of it is none, and its gradient is biased for the label's, the less the smaller tau is, and
    the noisier. A row with a label has its corner, and log q = 0, as in
    :class:`ppvae.distributions.PartlyObserved`.

    Args:
        logits: l, (..., C).
        temperature: tau, positive.
        y: labels, (...), -1 where not observed; nothing is observed unless given.

    Raises:
        TypeError: y holds no whole numbers.
        ValueError: y has another shape, or a label out of range.

    Source: Jang, Gu & Poole (2017), arXiv:1611.01144, eqs. 1 and 2, and section 3.1 on M2.
    """

    arg_constraints: dict[str, constraints.Constraint] = {}  # noqa: RUF012
    support = constraints.simplex
    has_rsample = True

    def __init__(self, logits: Tensor, temperature: float, y: Tensor | None = None) -> None:
        if y is None:
            y = torch.full(logits.shape[:-1], -1, device=logits.device)
        self.labels = PartlyObserved(logits, y)
        self.temperature = temperature
        super().__init__(logits.shape[:-1], logits.shape[-1:])

    @property
    def param_shape(self) -> torch.Size:
        """(..., C)."""
        return self.labels.param_shape

    @property
    def observed(self) -> Tensor:
        """Whether a row has a label, (...)."""
        return self.labels.observed

    @property
    def log_label(self) -> Tensor:
        """Log q(y*|x) of observed labels, (...) nats, zero in rows without one."""
        return self.labels.log_label

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> "RelaxedLabel":
        """Return the same distribution over a larger batch."""
        new: RelaxedLabel = self._get_checked_instance(RelaxedLabel, _instance)
        new.labels = self.labels.expand(batch_shape)
        new.temperature = self.temperature
        super(RelaxedLabel, new).__init__(
            torch.Size(batch_shape), self.event_shape, validate_args=False
        )
        new._validate_args = self._validate_args
        return new

    def log_prob(self, value: Tensor) -> Tensor:
        """Return sum_c y_c log softmax(l)_c, zero in rows with a label."""
        scores = (value * self.labels.free.logits.log_softmax(-1)).sum(-1)
        return torch.where(self.observed, torch.zeros_like(scores), scores)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Return soft labels, (..., C), with a path to the logits."""
        logits = self.labels.free.logits
        shape = (*sample_shape, *self.batch_shape, *self.event_shape)
        # Bounded away from 0, whose logarithm is infinite.
        noise = torch.rand(shape, dtype=logits.dtype, device=logits.device).clamp(min=1e-20)
        drawn = ((logits - (-noise.log()).log()) / self.temperature).softmax(-1)
        corner = one_hot(self.labels.y, self.event_shape[0], logits.dtype)
        return torch.where(self.observed.unsqueeze(-1), corner, drawn)


class GumbelLabels(nn.Module):
    """How a guide gives soft labels: from logits and labels to a :class:`RelaxedLabel`.

    Args:
        temperature: tau, positive; 0.5, within the range that Jang et al. found to work.

    Raises:
        ValueError: temperature is not positive and finite.
    """

    def __init__(self, temperature: float = 0.5) -> None:
        super().__init__()
        refuse_temperature(temperature)
        self.temperature = temperature

    def forward(self, logits: Tensor, y: Tensor) -> RelaxedLabel:
        """Return q(y|x) from logits, (..., B, C), and labels, (..., B)."""
        return RelaxedLabel(logits, self.temperature, y)


class RelaxedPrior(nn.Module):
    """The prior p(y) for soft labels, with event shape (C,).

    Args:
        probabilities: of the labels, (C,), positive; they are divided by their sum.
        temperature: tau of draws from the model, positive.

    Raises:
        ValueError: probabilities are not (C,) and positive, or temperature is not positive.
    """

    logits: Tensor

    def __init__(self, probabilities: Tensor, temperature: float = 0.5) -> None:
        super().__init__()
        refuse_temperature(temperature)
        refuse_probabilities(probabilities)
        self.temperature = temperature
        self.register_buffer("logits", (probabilities / probabilities.sum()).log())

    def forward(self) -> RelaxedLabel:
        """Return p(y), with batch shape () and event shape (C,)."""
        return RelaxedLabel(self.logits, self.temperature)


def refuse_temperature(temperature: float) -> None:
    """Refuse what is no temperature.

    Raises:
        ValueError: temperature is not positive and finite.
    """
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature must be positive and finite; got {temperature}.")
