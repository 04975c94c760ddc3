"""A point that moves while it is looked at."""

import pyro.distributions as dist
import torch
from torch import Tensor

__all__ = ["Point"]


class Point(dist.Delta):
    """A Delta whose log-density is 0 at any value, as if that were its point.

    A codebook moves in each run of training. A value drawn in one run and scored in the next would
    be off by that, and have minus infinity.
    """

    def log_prob(self, x: Tensor) -> Tensor:
        """Zeros, one for each point, (...,)."""
        leading = x.shape[: x.dim() - self.event_dim]
        return x.new_zeros(torch.broadcast_shapes(leading, self.batch_shape))
