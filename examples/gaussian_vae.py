"""A VAE for grey images: what does it cost to fix the scale of p(x|z) at 1?

    ppvae fit gaussian-vae                      # the scale is learned
    ppvae fit gaussian-vae --no-learn-scale     # the textbook's N(f(z), I)

With scale 1 and pixels in [0, 1] the noise is larger than the picture: the model has little to
gain from its code, and most coordinates of z stay unused. Learning one scale for all pixels
raises log p(x) by over a nat per pixel. Densities of grey values are in nats with pixels in [0, 1].

Source: Rybkin, Daniilidis & Levine (2021), arXiv:2006.13202, on the learned scale.
"""

import sys

from torch import nn

from ppvae import Experiment
from ppvae.cli import main
from ppvae.data import Data, Source
from ppvae.distributions import GaussianLikelihood, StandardNormal
from ppvae.guides import GaussianGuide
from ppvae.models import VAE
from ppvae.networks import MLP

__all__ = ["DATA", "gaussian_vae"]

DATA = Source("digits", binarize="none")


def gaussian_vae(
    data: Data, latent_dim: int = 10, hidden: int = 200, learn_scale: bool = True
) -> Experiment:
    """A VAE with a Gaussian likelihood, its scale learned or 1.

    Args:
        data: real rows, (N, P).
        latent_dim: D, width of the code z.
        hidden: width of the one hidden layer of encoder and decoder.
        learn_scale: whether the scale of p(x|z), one for all values, is learned; 1 otherwise.
    """
    decoder = MLP(latent_dim, [hidden], data.data_dim, activation=nn.ReLU)
    encoder = MLP(data.data_dim, [hidden], 2 * latent_dim, activation=nn.ReLU)
    likelihood = GaussianLikelihood(scale=1.0, learn_scale=learn_scale)
    return Experiment(
        model=VAE(decoder, StandardNormal(latent_dim), likelihood),
        guide=GaussianGuide(encoder),
        epochs=100 if data.num_train < 10_000 else 20,
        lr=2e-3,
    )


if __name__ == "__main__":
    sys.exit(main(["fit", "gaussian-vae", *sys.argv[1:]]))
