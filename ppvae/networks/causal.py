"""Masked convolutions: a network in which each value sees those before it alone.

Values of a grid (C, H, W) come in the order of its places, row by row, and at each place channel
by channel. A mask makes a convolution see places before its own, and at its own the channels
before (type A) or up to (type B) the one it computes.

Source: van den Oord, Kalchbrenner & Kavukcuoglu (2016), arXiv:1601.06759, section 3.4 on masks;
van den Oord et al. (2016), arXiv:1606.05328, on what all places are conditioned on.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ppvae.networks.autocast import in_float32
from ppvae.networks.flat import rows

__all__ = ["CausalConv2d", "CausalNetwork"]


class CausalConv2d(nn.Conv2d):
    """A convolution of stride 1 whose window ends at its own place.

    Args:
        num_groups: C; in and out channels are C groups of equal size, in the order of the values.
        in_features: channels of a group of the input.
        out_features: channels of a group of the output.
        kernel_size: odd.
        sees_itself: whether a group sees its own group at its place (type B), or those before.
    """

    seen: Tensor

    def __init__(
        self,
        num_groups: int,
        in_features: int,
        out_features: int,
        kernel_size: int,
        sees_itself: bool,
    ) -> None:
        widths = num_groups * in_features, num_groups * out_features
        super().__init__(*widths, kernel_size, padding=kernel_size // 2)
        seen, middle = torch.zeros_like(self.weight), kernel_size // 2
        seen[:, :, :middle] = 1
        seen[:, :, middle, :middle] = 1
        of_out = torch.arange(widths[1]).div(out_features, rounding_mode="floor")[:, None]
        of_in = torch.arange(widths[0]).div(in_features, rounding_mode="floor")
        before = of_in <= of_out if sees_itself else of_in < of_out
        seen[:, :, middle, middle] = before.to(seen.dtype)
        self.register_buffer("seen", seen, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve x, (N, C * in_features, H, W), with what lies ahead left out."""
        return self._conv_forward(x, self.weight * self.seen, self.bias)


class CausalNetwork(nn.Module):
    """Logits of each of a grid's values given those before it, and a context.

    Args:
        grid_shape: (C, H, W) of the grid of values, P of them.
        levels: L, how many values each may have, at least 2.
        features: channels for each of the C, between.
        blocks: residual blocks after the first convolution.
        context_features: F; what all values are conditioned on is a flat grid (..., F*H*W). 0 for
            none.

    Raises:
        ValueError: an argument, or the width of an input, breaks these rules.
    """

    def __init__(
        self,
        grid_shape: Sequence[int],
        levels: int,
        features: int = 32,
        blocks: int = 3,
        context_features: int = 0,
    ) -> None:
        super().__init__()
        shape = tuple(grid_shape)
        if len(shape) != 3 or min(shape) < 1:
            raise ValueError(f"grid_shape must be (C, H, W); got {shape}.")
        for name, count, least in (
            *(("levels", levels, 2), ("features", features, 2)),
            *(("blocks", blocks, 0), ("context_features", context_features, 0)),
        ):
            if count < least:
                raise ValueError(f"{name} must be at least {least}; got {count}.")
        self.grid_shape, self.levels, self.context_features = shape, levels, context_features
        channels = shape[0]
        self.embedding = nn.Embedding(levels, features)
        self.first = CausalConv2d(channels, features, features, 5, sees_itself=False)
        self.blocks = nn.ModuleList(_Block(channels, features) for _ in range(blocks))
        self.last = CausalConv2d(channels, features, levels, 1, sees_itself=True)
        self.of_context = (
            nn.Conv2d(context_features, channels * features, 3, padding=1)
            if context_features
            else None
        )

    def forward(self, index: Tensor, context: Tensor | None = None) -> Tensor:
        """Logits (..., P, L) of values, whole numbers below L in the order (C, H, W), (..., P).

        Args:
            index: (..., P).
            context: (..., F*H*W), broadcast with index; None for F = 0.
        """
        leading = index.shape[:-1]
        if context is not None:
            leading = torch.broadcast_shapes(leading, context.shape[:-1])
            context = context.expand(*leading, context.shape[-1])
        places = rows(index.expand(*leading, index.shape[-1]), math.prod(self.grid_shape))
        logits = self.of_rows(places.unflatten(-1, self.grid_shape), self.told(context))
        return in_float32(logits.flatten(1, 3).reshape(*leading, -1, self.levels))

    @property
    def reach(self) -> int:
        """How many rows above its own a value depends on, at most."""
        return 2 + len(self.blocks)

    def told(self, context: Tensor | None) -> Tensor | None:
        """What the context adds at each place, (N, C * features, H, W), from (..., F*H*W).

        Raises:
            ValueError: there is no context where the network takes one, or it has another width.
        """
        if self.of_context is None:
            return None
        if context is None:
            raise ValueError(f"context must be given, {self.context_features} numbers a place.")
        shape = (self.context_features, *self.grid_shape[1:])
        out: Tensor = self.of_context(rows(context, math.prod(shape)).unflatten(-1, shape))
        return out

    def of_rows(self, values: Tensor, told: Tensor | None) -> Tensor:
        """Logits (N, C, h, W, L) of some rows of whole numbers below L, (N, C, h, W).

        They are those of the grid where the first row is its first, or lies reach rows above.

        Args:
            values: some rows of the grid that follow each other.
            told: of the same rows, what :meth:`told` gave.
        """
        embedded = self.embedding(values).movedim(-1, 2)
        out = self.first(embedded.flatten(1, 2))
        if told is not None:
            out = out + told
        for block in self.blocks:
            out = block(out)
        logits: Tensor = self.last(out.relu()).unflatten(1, (self.grid_shape[0], self.levels))
        return logits.movedim(2, -1)


class _Block(nn.Module):
    """x + conv1x1(relu(conv3x3(relu(x)))), all of type B."""

    def __init__(self, channels: int, features: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReLU(),
            CausalConv2d(channels, features, features, 3, sees_itself=True),
            nn.ReLU(),
            CausalConv2d(channels, features, features, 1, sees_itself=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.layers(x)
        return out
