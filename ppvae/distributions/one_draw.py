"""A draw whose density is known where it was made, and nowhere else."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

__all__ = ["OneDraw"]


class OneDraw(TorchDistribution):
    """A vector that was drawn elsewhere, with event shape (D,), scored by what is given with it.

    For guides with auxiliary variables, whose density at a given code is an integral: the code and
    they together have one at the draw. A value that is another tensor is refused, equal or not, so
    that no gradient goes a wrong way.

    Args:
        drawn: z, (..., D), which it gives back as its draw.
        log_density: what it is scored by, (...,) nats.
    """

    arg_constraints: ClassVar = {}
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, drawn: Tensor, log_density: Tensor) -> None:
        self.drawn = drawn
        self.log_density = log_density
        super().__init__(drawn.shape[:-1], drawn.shape[-1:], validate_args=False)

    def expand(self, batch_shape: Any, _instance: OneDraw | None = None) -> OneDraw:
        """The same draw for a larger batch shape; for its own shape this very object."""
        shape = torch.Size(batch_shape)
        if shape == self.batch_shape:
            return self
        return OneDraw(self.drawn.expand(*shape, *self.event_shape), self.log_density.expand(shape))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """The draw itself, (..., D).

        Raises:
            NotImplementedError: more draws are asked for.
        """
        if torch.Size(sample_shape):
            raise NotImplementedError("the draw was made elsewhere, and there is one")
        return self.drawn

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density at the draw, (...,) nats.

        Raises:
            NotImplementedError: the value is another tensor.
        """
        if value is not self.drawn:
            raise NotImplementedError("it has a density at its own draw alone")
        return self.log_density
