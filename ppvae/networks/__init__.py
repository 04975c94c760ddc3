"""Neural networks with a flat interface, (..., P) in and out."""

from ppvae.networks.broadcast_linear import BroadcastLinear
from ppvae.networks.conv import ConvDecoder, ConvEncoder
from ppvae.networks.flat import rows
from ppvae.networks.mlp import MLP

__all__ = ["MLP", "BroadcastLinear", "ConvDecoder", "ConvEncoder", "rows"]
