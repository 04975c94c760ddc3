"""Labels of which some are observed."""

import math
from collections.abc import Sequence
from typing import Any

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.distributions import constraints

from ppvae.distributions.labels import refuse_labels

__all__ = ["PartlyObserved"]


class PartlyObserved(dist.TorchDistribution):
    r"""q(y|x) in rows without a label, and a point mass at the label in the others.

    .. math:: \log q(y = c) = \begin{cases} \log \mathrm{softmax}(l)_c & \text{not observed} \\
        0 \text{ if } c = y^*, \text{ else } -\infty & y^* \text{ observed} \end{cases}

    Both kinds of rows stand in one batch, and the model keeps y latent: summed out over all labels,
    a row with a label has L(x, y*) and the others U(x) of Kingma et al. (2014). Summing over an
    observed site of the model instead would count a labelled row once for each class.

    Args:
        logits: l, (..., B, C).
        y: the labels y*, (..., B), whole numbers from 0 to C - 1, -1 where not observed.

    Attributes:
        free: q(y|x) in all rows, labelled or not.

    Raises:
        TypeError: y holds no whole numbers.
        ValueError: y has another shape than the rows of logits, or a label out of range.

    Example:
        >>> import torch
        >>> labels = PartlyObserved(torch.zeros(2, 4), torch.tensor([3, -1]))
        >>> labels.log_prob(labels.enumerate_support()).exp()
        tensor([[0.0000, 0.2500],
                [0.0000, 0.2500],
                [0.0000, 0.2500],
                [1.0000, 0.2500]])

    Source: Kingma et al. (2014), arXiv:1406.5298, eqs. 6 and 7.
    """

    arg_constraints: dict[str, constraints.Constraint] = {}  # noqa: RUF012
    has_enumerate_support = True

    def __init__(self, logits: Tensor, y: Tensor, validate_args: bool | None = None) -> None:
        refuse_labels(y, logits.shape[:-1], logits.shape[-1])
        self.free = dist.Categorical(logits=logits, validate_args=validate_args)
        self.y = y
        super().__init__(self.free.batch_shape, validate_args=validate_args)

    @property
    def support(self) -> constraints.Constraint:
        """The labels 0 to C - 1."""
        return self.free.support

    @property
    def param_shape(self) -> torch.Size:
        """(..., B, C)."""
        return torch.Size(self.free.param_shape)

    @property
    def observed(self) -> Tensor:
        """Whether a row has a label, (..., B)."""
        return self.y >= 0

    @property
    def log_label(self) -> Tensor:
        """Log q(y*|x), (..., B) nats, zero in rows without a label: what a classifier raises."""
        scores = self.free.log_prob(self.y.clamp(min=0))
        return torch.where(self.observed, scores, torch.zeros_like(scores))

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> "PartlyObserved":
        """Return the same distribution over a larger batch."""
        new: PartlyObserved = self._get_checked_instance(PartlyObserved, _instance)
        new.free = self.free.expand(torch.Size(batch_shape))
        new.y = self.y.expand(torch.Size(batch_shape))
        super(PartlyObserved, new).__init__(torch.Size(batch_shape), validate_args=False)
        new._validate_args = self._validate_args
        return new

    def log_prob(self, value: Tensor) -> Tensor:
        """Return log q(y) of labels (..., B), in nats."""
        free = self.free.log_prob(value)
        point = torch.zeros_like(free).masked_fill(value != self.y, -math.inf)
        return torch.where(self.observed, point, free)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Return the labels that are observed, and draws of the others."""
        return torch.where(self.observed, self.y, self.free.sample(torch.Size(sample_shape)))

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """Return all C labels, (C, ..., B), or (C, ..., 1) unless expanded."""
        labels: Tensor = self.free.enumerate_support(expand=expand)
        return labels
