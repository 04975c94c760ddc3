"""A convolutional VAE on binary images: what do convolutions buy over one dense layer?

ppvae fit conv-vae
ppvae fit conv-vae --data mnist --epochs 20
ppvae compare vae conv-vae --estimators elbo
"""

import sys

from ppvae import Experiment
from ppvae.cli import main
from ppvae.data import Data
from ppvae.distributions import BernoulliLikelihood, StandardNormal
from ppvae.guides import GaussianGuide
from ppvae.models import VAE
from ppvae.networks import ConvDecoder, ConvEncoder

__all__ = ["conv_vae"]


def conv_vae(data: Data, latent_dim: int = 20, width: int = 32) -> Experiment:
    """A VAE with convolutional encoder and decoder.

    Args:
        data: binary images as rows, (N, P), of known shape.
        latent_dim: D, width of the code z.
        width: channels of the first convolution; the second has twice as many.
    """
    if data.image_shape is None:
        raise ValueError(f"conv-vae needs images; got {data.describe()}.")
    decoder = ConvDecoder(latent_dim, data.image_shape, width)
    encoder = ConvEncoder(data.image_shape, 2 * latent_dim, width)
    return Experiment(
        model=VAE(decoder, StandardNormal(latent_dim), BernoulliLikelihood()),
        guide=GaussianGuide(encoder),
        epochs=100 if data.num_train < 10_000 else 20,
        lr=1e-3,
    )


if __name__ == "__main__":
    sys.exit(main(["fit", "conv-vae", *sys.argv[1:]]))
