"""Residual convolutional networks, between images and grids of vectors, or codes.

A grid is (..., M, D): M = h w places row by row, a vector of width D at each. Convolutions of
stride 2 halve an image of (H, W) n times into a grid of (H / 2^n, W / 2^n).

Source: van den Oord, Vinyals & Kavukcuoglu (2017), arXiv:1711.00937, section 4.1, on the blocks.
"""

import math
from collections.abc import Sequence

from torch import Tensor, nn

from ppvae.networks.autocast import in_float32
from ppvae.networks.flat import rows

__all__ = ["GridDecoder", "GridEncoder", "ResidualDecoder", "ResidualEncoder", "grid_shape"]


def grid_shape(image_shape: Sequence[int], halvings: int) -> tuple[int, int]:
    """The (h, w) that images (C, H, W) have after so many halvings.

    Raises:
        ValueError: image_shape is not (C, H, W), halvings is below 1, or a side is no multiple of
            2^halvings.
    """
    shape = tuple(image_shape)
    if halvings < 1:
        raise ValueError(f"halvings must be at least 1; got {halvings}.")
    step = 2**halvings
    if len(shape) != 3 or min(shape) < 1 or shape[1] % step or shape[2] % step:
        raise ValueError(
            f"image_shape must be (C, H, W) with H and W multiples of {step} for "
            f"{halvings} halvings; got {shape}."
        )
    return shape[1] // step, shape[2] // step


class GridEncoder(nn.Module):
    """A network from flat images (..., C*H*W) to a grid (..., M, D).

    Args:
        image_shape: (C, H, W), H and W multiples of 2^halvings.
        out_features: D.
        channels: of all layers between.
        halvings: n, at least 1.
        blocks: residual blocks, x + conv1x1(relu(conv3x3(relu(x)))), after the halvings.

    Raises:
        ValueError: an argument, or the width of an input, breaks these rules.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        out_features: int,
        channels: int = 64,
        halvings: int = 2,
        blocks: int = 2,
    ) -> None:
        super().__init__()
        self.grid_shape = grid_shape(image_shape, halvings)
        _refuse_empty(out_features=out_features, channels=channels)
        self.image_shape = tuple(image_shape)
        ins = [self.image_shape[0], *[channels] * (halvings - 1)]
        self.layers = nn.Sequential(
            *[
                layer
                for width in ins
                for layer in (nn.Conv2d(width, channels, 4, stride=2, padding=1), nn.ReLU())
            ],
            nn.Conv2d(channels, channels, 3, padding=1),
            *[_Block(channels) for _ in range(blocks)],
            nn.ReLU(),
            nn.Conv2d(channels, out_features, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map flat images x, (..., C*H*W), to grids, (..., M, D)."""
        images = rows(x, math.prod(self.image_shape)).unflatten(-1, self.image_shape)
        out: Tensor = self.layers(images).flatten(-2).transpose(-1, -2)
        return in_float32(out.reshape(*x.shape[:-1], *out.shape[-2:]))


class GridDecoder(nn.Module):
    """A network from a grid (..., M, D) to flat images, linear at the end.

    Args:
        in_features: D.
        image_shape: (C, H, W), H and W multiples of 2^halvings.
        channels: of all layers between.
        halvings: n, at least 1.
        blocks: residual blocks before the image is doubled n times.
        each: numbers for each value of an image, as many as the likelihood reads; all values'
            first numbers come first.

    Raises:
        ValueError: an argument, or the shape of an input, breaks these rules.
    """

    def __init__(
        self,
        in_features: int,
        image_shape: Sequence[int],
        channels: int = 64,
        halvings: int = 2,
        blocks: int = 2,
        each: int = 1,
    ) -> None:
        super().__init__()
        self.grid_shape = grid_shape(image_shape, halvings)
        _refuse_empty(in_features=in_features, channels=channels, each=each)
        self.in_features = in_features
        doubled = [
            layer
            for _ in range(halvings - 1)
            for layer in (nn.ConvTranspose2d(channels, channels, 4, stride=2, padding=1), nn.ReLU())
        ]
        self.layers = nn.Sequential(
            nn.Conv2d(in_features, channels, 3, padding=1),
            *[_Block(channels) for _ in range(blocks)],
            nn.ReLU(),
            *doubled,
            nn.ConvTranspose2d(channels, each * next(iter(image_shape)), 4, stride=2, padding=1),
        )

    def forward(self, grid: Tensor) -> Tensor:
        """Map grids, (..., M, D), to flat images, (..., each * C*H*W)."""
        out: Tensor = self.layers(as_images(grid, self.in_features, self.grid_shape))
        return in_float32(out.reshape(*grid.shape[:-2], -1))


class ResidualEncoder(nn.Module):
    """A network from flat images (..., C*H*W) to (..., out_features).

    Args:
        image_shape, channels, halvings, blocks: of :class:`GridEncoder`.
        out_features: width of the output.

    Raises:
        ValueError: an argument, or the width of an input, breaks the rules of GridEncoder.
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        out_features: int,
        channels: int = 64,
        halvings: int = 2,
        blocks: int = 2,
    ) -> None:
        super().__init__()
        _refuse_empty(out_features=out_features)
        self.to_grid = GridEncoder(image_shape, channels, channels, halvings, blocks)
        width = channels * math.prod(self.to_grid.grid_shape)
        self.last = nn.Sequential(nn.ReLU(), nn.Linear(width, out_features))

    def forward(self, x: Tensor) -> Tensor:
        """Map flat images x, (..., C*H*W), to (..., out_features)."""
        out: Tensor = self.last(self.to_grid(x).flatten(-2))
        return in_float32(out)


class ResidualDecoder(nn.Module):
    """A network from (..., in_features) to flat images, linear at the end.

    Args:
        in_features: width of the input.
        image_shape, channels, halvings, blocks, each: of :class:`GridDecoder`.

    Raises:
        ValueError: an argument, or the width of an input, breaks the rules of GridDecoder.
    """

    def __init__(
        self,
        in_features: int,
        image_shape: Sequence[int],
        channels: int = 64,
        halvings: int = 2,
        blocks: int = 2,
        each: int = 1,
    ) -> None:
        super().__init__()
        _refuse_empty(in_features=in_features)
        self.from_grid = GridDecoder(channels, image_shape, channels, halvings, blocks, each)
        places = math.prod(self.from_grid.grid_shape)
        self.in_features = in_features
        self.first = nn.Sequential(
            nn.Linear(in_features, places * channels), nn.Unflatten(-1, (places, channels))
        )

    def forward(self, z: Tensor) -> Tensor:
        """Map codes z, (..., in_features), to flat images, (..., each * C*H*W)."""
        out: Tensor = self.from_grid(self.first(rows(z, self.in_features)))
        return out.reshape(*z.shape[:-1], out.shape[-1])


class _Block(nn.Module):
    """x + conv1x1(relu(conv3x3(relu(x))))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.layers(x)
        return out


def as_images(grid: Tensor, width: int, shape: tuple[int, int]) -> Tensor:
    """A grid (..., h*w, D) as images (N, D, h, w).

    Raises:
        ValueError: the grid has another shape.
    """
    if grid.shape[-2:] != (math.prod(shape), width):
        raise ValueError(
            f"grid must be (..., {math.prod(shape)}, {width}); got shape {tuple(grid.shape)}."
        )
    return grid.reshape(-1, *grid.shape[-2:]).transpose(-1, -2).unflatten(-1, shape)


def _refuse_empty(**widths: int) -> None:
    for name, width in widths.items():
        if width < 1:
            raise ValueError(f"{name} must be at least 1; got {width}.")
