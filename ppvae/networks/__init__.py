"""Neural networks with a flat interface, (..., P) in and out."""

from ppvae.networks.broadcast_linear import BroadcastLinear
from ppvae.networks.conv import ConvDecoder, ConvEncoder
from ppvae.networks.first_input import FirstInput
from ppvae.networks.flat import rows
from ppvae.networks.frozen import Frozen
from ppvae.networks.holes import filled
from ppvae.networks.mlp import MLP
from ppvae.networks.one_hot import one_hot
from ppvae.networks.partial_conv import MaskedConv2d, PartialConv2d, PartialConvEncoder

__all__ = [
    "MLP",
    "BroadcastLinear",
    "ConvDecoder",
    "ConvEncoder",
    "FirstInput",
    "Frozen",
    "MaskedConv2d",
    "PartialConv2d",
    "PartialConvEncoder",
    "filled",
    "one_hot",
    "rows",
]
