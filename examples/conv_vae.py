"""Convolutional VAEs on binary images: what do convolutions buy over one dense layer?

    ppvae fit conv-vae
    ppvae fit conv-vae --kind residual --data mnist --epochs 20
    ppvae fit conv-vae --kind causal                # each pixel given those before it, and z
    ppvae compare vae conv-vae --estimators elbo
    python -m ppvae.examples.conv_vae               # the three kinds side by side

A decoder by masked convolutions scores pixels one after the other, and draws them so: it needs z
for little, and may leave it unused (the KL says so).

Source: van den Oord et al. (2016), arXiv:1606.05328, on pixels one after the other given a code;
Chen et al. (2017), arXiv:1611.02731, on codes that are left unused.
"""

import sys

from ppvae import Experiment
from ppvae.cli import main
from ppvae.data import Data
from ppvae.distributions import AutoregressiveLikelihood, BernoulliLikelihood, StandardNormal
from ppvae.guides import GaussianGuide
from ppvae.models import VAE
from ppvae.networks import (
    CausalNetwork,
    ConvDecoder,
    ConvEncoder,
    ResidualDecoder,
    ResidualEncoder,
)

__all__ = ["conv_vae"]

KINDS = ("conv", "residual", "causal")
FEATURES = 4


def conv_vae(data: Data, kind: str = "conv", latent_dim: int = 20, width: int = 32) -> Experiment:
    """A VAE with convolutional encoder and decoder.

    Args:
        data: binary images as rows, (N, P), of known shape.
        kind: conv (two convolutions), residual (with residual blocks between) or causal (the
            decoder of conv is the context of masked convolutions over the pixels).
        latent_dim: D, width of the code z.
        width: channels of the first convolution; the second has twice as many, residual blocks as
            many.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}; got {kind!r}.")
    shape = data.image_shape
    if shape is None:
        raise ValueError(f"conv-vae needs images; got {data.describe()}.")
    likelihood: BernoulliLikelihood | AutoregressiveLikelihood = BernoulliLikelihood()
    decoder: ConvDecoder | ResidualDecoder = ConvDecoder(latent_dim, shape, width)
    encoder: ConvEncoder | ResidualEncoder = ConvEncoder(shape, 2 * latent_dim, width)
    if kind == "residual":
        decoder = ResidualDecoder(latent_dim, shape, width)
        encoder = ResidualEncoder(shape, 2 * latent_dim, width)
    if kind == "causal":
        context = (FEATURES, *shape[1:])
        decoder = ConvDecoder(latent_dim, context, width)
        likelihood = AutoregressiveLikelihood(
            CausalNetwork(shape, 2, features=16, blocks=2, context_features=FEATURES)
        )
    return Experiment(
        model=VAE(decoder, StandardNormal(latent_dim), likelihood),
        guide=GaussianGuide(encoder),
        epochs=100 if data.num_train < 10_000 else 20,
        lr=1e-3,
    )


if __name__ == "__main__":
    kinds = ["--vary", f"kind={','.join(KINDS)}", "--estimators", "elbo"]
    sys.exit(main(["compare", "conv-vae", *kinds, *sys.argv[1:]]))
