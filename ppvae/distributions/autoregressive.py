"""Values one after the other, each given those before it: of pixels, and of codes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn
from torch.distributions import constraints
from torch.distributions.constraints import Constraint

from ppvae.distributions.grey_levels import Levels
from ppvae.networks import CausalNetwork

__all__ = ["Autoregressive", "AutoregressiveLikelihood"]


class Autoregressive(TorchDistribution):
    r"""P values in the order of a network, each one of L levels, with event shape (P,).

    .. math:: \log p(x) = \sum_i \log p(x_i | x_{<i}, \mathrm{context})

    Scored in one pass of the network, drawn in P passes.

    Args:
        network: logits of each value given those before it.
        context: what all are conditioned on, (..., F*H*W); None for a network without.
        step: what lies between two levels, the lowest of which is 0; 1 / (L - 1) for grey values.
        batch_shape: what the context's leading dimensions broadcast to, which are it unless given.

    Source: van den Oord, Kalchbrenner & Kavukcuoglu (2016), arXiv:1601.06759, eq. 1.
    """

    arg_constraints: ClassVar = {}
    # There is no formula for the mean, and a draw costs P passes.
    draws_for_mean = 1

    def __init__(
        self,
        network: CausalNetwork,
        context: Tensor | None = None,
        step: float = 1.0,
        batch_shape: torch.Size | None = None,
    ) -> None:
        self.network, self.context, self.step = network, context, step
        channels, height, width = network.grid_shape
        own = torch.Size() if context is None else context.shape[:-1]
        super().__init__(
            own if batch_shape is None else batch_shape,
            torch.Size([channels * height * width]),
            validate_args=False,
        )

    @property
    def support(self) -> Constraint:
        """Levels at each of the P places."""
        levels = self.network.levels
        whole = constraints.integer_interval(0, levels - 1)
        return constraints.independent(whole if self.step == 1 else Levels(levels), 1)

    def expand(self, batch_shape: Any, _instance: Autoregressive | None = None) -> Autoregressive:
        """The same for a larger batch shape."""
        return Autoregressive(self.network, self.context, self.step, torch.Size(batch_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-probability of values, (..., P): (...,) nats."""
        index = (value / self.step).round().long()
        logits = self.network(index, self.context).log_softmax(-1)
        each = logits.gather(-1, index.expand(logits.shape[:-1]).unsqueeze(-1)).squeeze(-1)
        return each.sum(-1).expand(torch.broadcast_shapes(value.shape[:-1], self.batch_shape))

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draws, (..., P): one pass over the rows that matter for each of the P values."""
        shape = torch.Size(sample_shape) + self.batch_shape
        network, context = self.network, self.context
        values = torch.zeros(
            *(math.prod(shape), *network.grid_shape),
            dtype=torch.int64,
            device=network.embedding.weight.device,
        )
        with torch.no_grad():
            told = network.told(None if context is None else context.expand(*shape, -1))
            for row, column, channel in _in_order(network.grid_shape):
                seen = slice(max(0, row - network.reach), row + 1)
                above = None if told is None else told[:, :, seen]
                logits = network.of_rows(values[:, :, seen], above)[:, channel, -1, column]
                drawn = torch.distributions.Categorical(logits=logits).sample()
                values[:, channel, row, column] = drawn
        index = values.reshape(shape + self.event_shape)
        return index * self.step if self.step != 1 else index


def _in_order(grid_shape: tuple[int, ...]) -> Iterator[tuple[int, int, int]]:
    """Row, column and channel of the values, in the order in which each sees those before it."""
    channels, height, width = grid_shape
    return itertools.product(range(height), range(width), range(channels))


class AutoregressiveLikelihood(nn.Module):
    """p(x|z) of grey values one after the other, conditioned on what the decoder gives.

    Args:
        network: of L levels on images (C, H, W); x holds multiples of 1 / (L - 1), bits for L = 2.
            Its context of F features a place is the decoder's output.

    Raises:
        ValueError: the network takes no context, or the decoder's width is not that of its context.
    """

    def __init__(self, network: CausalNetwork) -> None:
        super().__init__()
        if not network.context_features:
            raise ValueError("network must take a context, so that z has a part; got none.")
        self.network = network

    def forward(self, params: Tensor) -> TorchDistribution:
        """Return p(x|z) with event shape (P,) from the context, (..., F*H*W)."""
        _, height, width = self.network.grid_shape
        wanted = self.network.context_features * height * width
        if params.shape[-1] != wanted:
            raise ValueError(
                f"decoder must be as wide as the context, {wanted}; got {params.shape[-1]}."
            )
        return Autoregressive(self.network, params, 1 / (self.network.levels - 1))
