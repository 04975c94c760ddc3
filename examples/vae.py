"""A variational autoencoder on binary images: which estimator trains it best?

    ppvae fit vae                                            # 1797 handwritten digits, 8x8
    ppvae fit vae --data mnist --binarize dynamic --epochs 20
    ppvae compare vae                                        # six estimators, five seeds

Networks as in Kingma & Welling (2014), arXiv:1312.6114: one hidden layer each way, here with
ReLU units.
"""

import sys

from torch import nn

from ppvae import ELBO, Experiment
from ppvae.cli import main
from ppvae.data import Data
from ppvae.distributions import BernoulliLikelihood, StandardNormal
from ppvae.guides import GaussianGuide
from ppvae.models import VAE
from ppvae.networks import MLP

__all__ = ["vae"]


def vae(data: Data, latent_dim: int = 20, hidden: int = 400) -> Experiment:
    """A VAE with a Bernoulli likelihood and a diagonal Gaussian guide.

    Args:
        data: binary rows, (N, P).
        latent_dim: D, width of the code z.
        hidden: width of the one hidden layer of encoder and decoder.
    """
    decoder = MLP(latent_dim, [hidden], data.data_dim, activation=nn.ReLU)
    encoder = MLP(data.data_dim, [hidden], 2 * latent_dim, activation=nn.ReLU)
    small = data.num_train < 10_000
    return Experiment(
        model=VAE(decoder, StandardNormal(latent_dim), BernoulliLikelihood()),
        guide=GaussianGuide(encoder),
        estimator=ELBO(),
        epochs=35 if small else 20,
        lr=2e-3 if small else 1e-3,
        batch_size=64 if small else 128,
    )


if __name__ == "__main__":
    sys.exit(main(["fit", "vae", *sys.argv[1:]]))
