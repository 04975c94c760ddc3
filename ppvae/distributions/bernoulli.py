"""The likelihood of binary data."""

import pyro.distributions as dist
from torch import Tensor, nn

__all__ = ["BernoulliLikelihood"]


class BernoulliLikelihood(nn.Module):
    """p(x|z) of independent binary pixels, from logits: x_i ~ Bernoulli(sigmoid(logit_i))."""

    def forward(self, params: Tensor) -> dist.TorchDistribution:
        """Return p(x|z) with event shape (P,) from logits, (..., P)."""
        # Logits, not probabilities: log p(x|z) stays exact where the sigmoid rounds to 0 or 1.
        return dist.Bernoulli(logits=params).to_event(1)
