"""Priors over grids of codes, vectors out of a codebook."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from pyro.distributions import Categorical, TorchDistribution
from torch import Tensor, nn
from torch.distributions.constraints import Constraint

from ppvae.distributions.autoregressive import Autoregressive
from ppvae.networks import CausalNetwork, Codebook

__all__ = ["AutoregressiveCodes", "Codes", "UniformCodes"]


class _OfCodebook(Constraint):
    """Codes: single points among the vectors, which a codebook moves in training."""

    is_discrete = True
    event_dim = 2

    def check(self, value: Tensor) -> Tensor:
        """Whether each grid, (..., M, D), is of numbers."""
        return value.isfinite().all(-1).all(-1)


class Codes(TorchDistribution):
    """M vectors of a codebook, from a distribution of their numbers, with event shape (M, D).

    A vector is scored as the code nearest to it, which is itself for what a codebook quantised.

    Args:
        codebook: of K vectors of width D.
        index: of M whole numbers below K, with event shape (M,).
    """

    arg_constraints: ClassVar = {}
    support = _OfCodebook()

    def __init__(self, codebook: Codebook, index: TorchDistribution) -> None:
        self.codebook, self.index = codebook, index
        event_shape = index.event_shape + codebook.codes.shape[-1:]
        super().__init__(index.batch_shape, event_shape, validate_args=False)

    def expand(self, batch_shape: Any, _instance: Codes | None = None) -> Codes:
        """The same for a larger batch shape."""
        return Codes(self.codebook, self.index.expand(torch.Size(batch_shape)))

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-probability of codes, (..., M, D): (...,) nats."""
        found: Tensor = self.index.log_prob(self.codebook.nearest(value))
        return found

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draws, (..., M, D)."""
        with torch.no_grad():
            return self.codebook.at(self.index.sample(torch.Size(sample_shape)))


class UniformCodes(nn.Module):
    """The prior in which each of M places has any of K codes alike: -M log K nats.

    Args:
        codebook: of K vectors; the guide quantises by the same.
        places: M, at least 1.

    Raises:
        ValueError: places is below 1.

    Source: van den Oord, Vinyals & Kavukcuoglu (2017), arXiv:1711.00937, section 3.2.
    """

    def __init__(self, codebook: Codebook, places: int) -> None:
        super().__init__()
        if places < 1:
            raise ValueError(f"places must be at least 1; got {places}.")
        self.codebook = codebook
        self.places = places

    def forward(self, *above: Tensor) -> TorchDistribution:
        """Return p(z) with event shape (M, D), whatever the levels above hold."""
        logits = self.codebook.codes.new_zeros(self.places, self.codebook.size)
        return Codes(self.codebook, Categorical(logits=logits).to_event(1))


class AutoregressiveCodes(nn.Module):
    """The prior by masked convolutions: each code given those before it, and the levels above.

    It scores which code stands where, and so has no gradient for codebook or encoder: fitted
    together with them or afterwards, it learns the distribution of what they make of the data.

    Args:
        codebook: of K vectors; the guide quantises by the same.
        network: of K levels on a grid (1, h, w).
        above: from the grids above, the lowest first, to the network's context, (..., F*h*w);
            None at the top.

    Raises:
        ValueError: the network has another number of levels than the codebook has vectors, or more
            than one value a place.
    """

    def __init__(
        self,
        codebook: Codebook,
        network: CausalNetwork,
        above: Callable[..., Tensor] | None = None,
    ) -> None:
        super().__init__()
        if network.levels != codebook.size:
            raise ValueError(
                f"network must have as many levels as the codebook has vectors, "
                f"{codebook.size}; got {network.levels}."
            )
        if network.grid_shape[0] != 1:
            raise ValueError(
                f"network must be on a grid (1, h, w) of codes; got {network.grid_shape}."
            )
        self.codebook = codebook
        self.network = network
        self.above = above

    def forward(self, *above: Tensor) -> TorchDistribution:
        """Return p(z | levels above) with event shape (M, D)."""
        if self.above is None:
            return Codes(self.codebook, Autoregressive(self.network))
        return Codes(self.codebook, Autoregressive(self.network, self.above(*above)))
