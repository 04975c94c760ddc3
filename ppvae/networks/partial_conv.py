"""Convolutions of images with holes.

With X the values under the window, M their mask and W, b the weights,

    masked:   W'(X * M) + b
    partial:  W'(X * M) sum(1) / sum(M) + b        where sum(M) > 0, else 0

and a place is observed in the next layer where its window holds an observed value.

Source: Liu et al. (2018), Image inpainting for irregular holes using partial convolutions,
arXiv:1804.07723, eqs. 1 and 2. Here sum(1) counts the places within the image alone: at its border
too, nothing is rescaled where nothing is missing.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from ppvae.networks.autocast import in_float32, widened
from ppvae.networks.conv import ConvEncoder
from ppvae.networks.flat import rows

__all__ = ["MaskedConv2d", "PartialConv2d", "PartialConvEncoder"]


class MaskedConv2d(nn.Module):
    """A convolution that sees 0 in holes, with the mask of the next layer.

    Args:
        conv: whose weights and geometry it has.

    Raises:
        ValueError: the convolution is of groups, or pads with something else than zeros.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = _simple(conv)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Map images (N, C, H, W) and a mask (N, C or 1, H, W) to images and a mask (N, 1, ...).

        Raises:
            TypeError: the mask is not boolean.
            ValueError: the mask has another shape.
        """
        _refuse_other(x, mask)
        return self.conv(torch.where(mask, x, 0.0)), _counted(mask, self.conv) > 0


class PartialConv2d(nn.Module):
    """A convolution of the observed values, as large as if the window were full of them.

    Args:
        conv: whose weights and geometry it has.

    Raises:
        ValueError: the convolution is of groups, or pads with something else than zeros.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = _simple(conv)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Map images (N, C, H, W) and a mask (N, C or 1, H, W) to images and a mask (N, 1, ...).

        Raises:
            TypeError: the mask is not boolean.
            ValueError: the mask has another shape.
        """
        _refuse_other(x, mask)
        conv = self.conv
        seen = _counted(mask, conv)
        within = _counted(torch.ones_like(mask[:1]), conv)
        empty = torch.where(mask, x, 0.0)
        # The product alone is narrow under autocast.
        summed = widened(conv2d(empty, conv.weight, None, conv.stride, conv.padding, conv.dilation))
        out = summed * (within.to(summed.dtype) / seen.clamp(min=1))
        if conv.bias is not None:
            out = out + conv.bias[:, None, None]
        return torch.where(seen > 0, out, 0.0), seen > 0


class PartialConvEncoder(nn.Module):
    """A network from flat images and their masks, (..., C*H*W), to (..., out_features).

    It is :class:`ppvae.networks.ConvEncoder` with partial convolutions.

    Args:
        image_shape: (C, H, W), H and W multiples of 4.
        out_features: width of the output.
        channels: channels after the first convolution; the second has twice as many.

    Raises:
        ValueError: image_shape, a width, or the width of an input breaks these rules.
    """

    def __init__(self, image_shape: Sequence[int], out_features: int, channels: int = 32) -> None:
        super().__init__()
        plain = ConvEncoder(image_shape, out_features, channels)
        convolutions = [layer for layer in plain.layers if isinstance(layer, nn.Conv2d)]
        self.image_shape = plain.image_shape
        self.layers = nn.ModuleList(map(PartialConv2d, convolutions))
        self.last = plain.layers[-1]

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Map flat images and masks, (..., C*H*W), true or 1 where observed, to out_features."""
        width = math.prod(self.image_shape)
        hidden, seen = (
            rows(each, width).unflatten(-1, self.image_shape) for each in (x, mask != 0)
        )
        for layer in self.layers:
            hidden, seen = layer(hidden, seen)
            hidden = hidden.relu()
        out: Tensor = self.last(hidden.flatten(1))
        return in_float32(out.reshape(*x.shape[:-1], out.shape[-1]))


def _simple(conv: nn.Conv2d) -> nn.Conv2d:
    if conv.groups != 1 or conv.padding_mode != "zeros":
        raise ValueError(
            f"conv must be of one group and padded with zeros; got groups {conv.groups} and "
            f"padding mode {conv.padding_mode!r}."
        )
    return conv


def _counted(mask: Tensor, conv: nn.Conv2d) -> Tensor:
    """How many observed values the window holds at each place, (N, 1, H, W), in float32."""
    size = (1, mask.shape[1], *conv.kernel_size)
    window = torch.ones(size, dtype=torch.float32, device=mask.device)
    with torch.autocast(mask.device.type, enabled=False):
        return conv2d(mask.float(), window, None, conv.stride, conv.padding, conv.dilation)


def _refuse_other(x: Tensor, mask: Tensor) -> None:
    if mask.dtype != torch.bool:
        raise TypeError(f"mask must be boolean, true where x is observed; got {mask.dtype}.")
    if x.dim() != 4 or mask.shape not in (x.shape, (len(x), 1, *x.shape[2:])):
        raise ValueError(
            f"mask must have the shape of x, {tuple(x.shape)}, or one channel; "
            f"got {tuple(mask.shape)}."
        )
