"""The likelihood of grey values between 0 and 1 that are no probabilities."""

import pyro.distributions as dist
from torch import Tensor, nn

__all__ = ["ContinuousBernoulliLikelihood"]


class ContinuousBernoulliLikelihood(nn.Module):
    """p(x|z) of independent grey values in [0, 1], from logits: a density, with its constant.

    A Bernoulli likelihood of grey values is no density: what it lacks depends on the logit.

    Source: Loaiza-Ganem & Cunningham (2019), arXiv:1907.06845.
    """

    def forward(self, params: Tensor) -> dist.TorchDistribution:
        """Return p(x|z) with event shape (P,) from logits, (..., P)."""
        return dist.ContinuousBernoulli(logits=params).to_event(1)
