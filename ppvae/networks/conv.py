"""A convolutional encoder and decoder for small images, such as 28x28 and 32x32.

Two convolutions of stride 2 halve the image twice, so both sides must be multiples of 4.
"""

import math
from collections.abc import Sequence

from torch import Tensor, nn

from ppvae.networks.autocast import in_float32
from ppvae.networks.flat import rows

__all__ = ["ConvDecoder", "ConvEncoder"]


class ConvEncoder(nn.Module):
    """A network from flat images (..., C*H*W) to (..., out_features).

    Args:
        image_shape: (C, H, W), H and W multiples of 4.
        out_features: width of the output.
        channels: channels after the first convolution; the second has twice as many.

    Raises:
        ValueError: image_shape, a width, or the width of an input breaks these rules.
    """

    def __init__(self, image_shape: Sequence[int], out_features: int, channels: int = 32) -> None:
        super().__init__()
        self.image_shape, small = _shapes(image_shape, channels)
        _refuse_empty(out_features=out_features, channels=channels)
        self.layers = nn.Sequential(
            nn.Conv2d(self.image_shape[0], channels, kernel_size=4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, 2 * channels, kernel_size=4, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(math.prod(small), out_features),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map flat images x, (..., C*H*W), to (..., out_features)."""
        images = rows(x, math.prod(self.image_shape)).unflatten(-1, self.image_shape)
        out: Tensor = self.layers(images)
        return in_float32(out.reshape(*x.shape[:-1], out.shape[-1]))


class ConvDecoder(nn.Module):
    """A network from (..., in_features) to flat images (..., C*H*W), linear at the end.

    Args:
        in_features: width of the input.
        image_shape: (C, H, W), H and W multiples of 4.
        channels: channels before the last convolution; the first has twice as many.

    Raises:
        ValueError: image_shape, a width, or the width of an input breaks these rules.
    """

    def __init__(self, in_features: int, image_shape: Sequence[int], channels: int = 32) -> None:
        super().__init__()
        self.image_shape, small = _shapes(image_shape, channels)
        _refuse_empty(in_features=in_features, channels=channels)
        self.in_features = in_features
        self.layers = nn.Sequential(
            nn.Linear(in_features, math.prod(small)),
            nn.ReLU(),
            nn.Unflatten(-1, small),
            nn.ConvTranspose2d(2 * channels, channels, kernel_size=4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(channels, self.image_shape[0], kernel_size=4, stride=2, padding=1),
            nn.Flatten(),
        )

    def forward(self, z: Tensor) -> Tensor:
        """Map codes z, (..., in_features), to flat images (..., C*H*W)."""
        out: Tensor = self.layers(rows(z, self.in_features))
        return in_float32(out.reshape(*z.shape[:-1], out.shape[-1]))


def _shapes(image_shape: Sequence[int], channels: int) -> tuple[tuple[int, int, int], ...]:
    shape = tuple(image_shape)
    if len(shape) != 3 or min(shape) < 1 or shape[1] % 4 or shape[2] % 4:
        raise ValueError(f"image_shape must be (C, H, W) with H and W multiples of 4; got {shape}.")
    return shape, (2 * channels, shape[1] // 4, shape[2] // 4)


def _refuse_empty(**widths: int) -> None:
    for name, width in widths.items():
        if width < 1:
            raise ValueError(f"{name} must be at least 1; got {width}.")
