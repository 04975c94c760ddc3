"""Neural networks with a flat interface, (..., P) in and out."""

from ppvae.networks.broadcast_linear import BroadcastLinear
from ppvae.networks.causal import CausalConv2d, CausalNetwork
from ppvae.networks.codebook import Codebook, perplexity
from ppvae.networks.conv import ConvDecoder, ConvEncoder
from ppvae.networks.first_input import FirstInput
from ppvae.networks.flat import rows
from ppvae.networks.frozen import Frozen
from ppvae.networks.grids import GridJoin, JoinedDecoder
from ppvae.networks.holes import filled
from ppvae.networks.mlp import MLP
from ppvae.networks.one_hot import one_hot
from ppvae.networks.partial_conv import MaskedConv2d, PartialConv2d, PartialConvEncoder
from ppvae.networks.residual import (
    GridDecoder,
    GridEncoder,
    ResidualDecoder,
    ResidualEncoder,
    grid_shape,
)

__all__ = [
    "MLP",
    "BroadcastLinear",
    "CausalConv2d",
    "CausalNetwork",
    "Codebook",
    "ConvDecoder",
    "ConvEncoder",
    "FirstInput",
    "Frozen",
    "GridDecoder",
    "GridEncoder",
    "GridJoin",
    "JoinedDecoder",
    "MaskedConv2d",
    "PartialConv2d",
    "PartialConvEncoder",
    "ResidualDecoder",
    "ResidualEncoder",
    "filled",
    "grid_shape",
    "one_hot",
    "perplexity",
    "rows",
]
