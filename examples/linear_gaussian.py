"""Probabilistic PCA trained by variational inference: how far below log p(x) is each bound?

    ppvae compare linear-gaussian

The decoder is linear and the noise Gaussian, so that log p(x), p(z|x) and the ELBO are closed
formulas, and the best log p(x) that training can reach is the score of scikit-learn's PCA. The
guide is a linear encoder with one scale per coordinate: its gap to log p(x) is what a diagonal
guide must leave.

Sources: Tipping & Bishop (1999), Probabilistic principal component analysis; Lucas et al. (2019),
arXiv:1911.02469, on VAEs with a linear decoder.
"""

import sys

import torch
from torch import nn

from ppvae import Experiment
from ppvae.cli import main
from ppvae.data import Data, Source
from ppvae.exact import ExactGaussian
from ppvae.guides import GaussianGuide
from ppvae.models import LinearGaussian

__all__ = ["DATA", "linear_gaussian"]

DATA = Source("digits", binarize="none")


def linear_gaussian(data: Data, latent_dim: int = 10) -> Experiment:
    """A linear decoder with Gaussian noise, where log p(x) is known exactly.

    Args:
        data: real rows, (N, P).
        latent_dim: D, width of the code z.
    """
    model = LinearGaussian(
        0.1 * torch.randn(data.data_dim, latent_dim), bias=data.mean.clone(), scale=0.5
    )
    guide = GaussianGuide(nn.Linear(data.data_dim, 2 * latent_dim))
    exact = ExactGaussian(model.log_evidence, model.posterior, guide.distribution)
    return Experiment(
        model=model,
        guide=guide,
        epochs=100,
        lr=5e-3,
        batch_size=128,
        log_evidence=exact.log_evidence,
        elbo=exact.elbo,
        cross_entropy=exact.cross_entropy,
    )


if __name__ == "__main__":
    sys.exit(main(["fit", "linear-gaussian", *sys.argv[1:]]))
