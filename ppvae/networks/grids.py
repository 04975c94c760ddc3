"""Grids of several levels: an upper one, half as high and wide, beside the one below."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from ppvae.networks.autocast import in_float32
from ppvae.networks.residual import as_images

__all__ = ["GridJoin", "JoinedDecoder"]


class GridJoin(nn.Module):
    """A network of a grid and the one above, (..., M, D) and (..., M / 4, U), to (..., M, E).

    Args:
        low_features: D.
        high_features: U.
        low_shape: (h, w) of the lower grid, both even.
        out_features: E.

    Raises:
        ValueError: a width is below 1, a side is odd, or an input has another shape.
    """

    def __init__(
        self, low_features: int, high_features: int, low_shape: tuple[int, int], out_features: int
    ) -> None:
        super().__init__()
        widths = (low_features, high_features, out_features)
        if min(widths) < 1:
            raise ValueError(f"widths of a GridJoin must be at least 1; got {widths}.")
        if low_shape[0] % 2 or low_shape[1] % 2:
            raise ValueError(f"low_shape must be even; got {tuple(low_shape)}.")
        self.low_features, self.high_features = low_features, high_features
        self.low_shape = (low_shape[0], low_shape[1])
        self.doubled = nn.ConvTranspose2d(high_features, out_features, 4, stride=2, padding=1)
        self.mixed = nn.Conv2d(low_features + out_features, out_features, 3, padding=1)

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        """Map a grid (..., M, D) and the one above, (..., M / 4, U), to (..., M, E)."""
        half = (self.low_shape[0] // 2, self.low_shape[1] // 2)
        leading = torch.broadcast_shapes(low.shape[:-2], high.shape[:-2])
        below = as_images(low.expand(*leading, *low.shape[-2:]), self.low_features, self.low_shape)
        above = as_images(high.expand(*leading, *high.shape[-2:]), self.high_features, half)
        both = torch.cat([below, self.doubled(above).relu()], dim=1)
        out: Tensor = self.mixed(both).flatten(-2).transpose(-1, -2)
        return in_float32(out.reshape(*leading, *out.shape[-2:]))


class JoinedDecoder(nn.Module):
    """A decoder of grids of several levels, the lowest first: joined from the top, then decoded.

    Args:
        joins: networks of a grid and what was made of those above, the lowest first.
        decoder: from what the lowest join gives to the likelihood's parameters.
    """

    def __init__(self, joins: Iterable[nn.Module], decoder: nn.Module) -> None:
        super().__init__()
        self.joins = nn.ModuleList(joins)
        self.decoder = decoder

    def forward(self, *grids: Tensor) -> Tensor:
        """Map grids, the lowest first, to the likelihood's parameters.

        Raises:
            ValueError: there is not one grid more than joins.
        """
        if len(grids) != len(self.joins) + 1:
            raise ValueError(
                f"a decoder of {len(self.joins)} joins must have {len(self.joins) + 1} grids; "
                f"got {len(grids)}."
            )
        *lower, code = grids
        for join, grid in zip(reversed(self.joins), reversed(lower), strict=True):
            code = join(grid, code)
        out: Tensor = self.decoder(code)
        return out
