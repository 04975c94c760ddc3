"""A code of bits on binary images: which estimator learns without a path through the draws?

    ppvae fit bernoulli-latents
    ppvae compare bernoulli-latents

With D = 8 bits log p(x), the ELBO and their gradients are sums over 256 codes, to which what is
estimated from draws can be held. The bits are one event of the guide: they are drawn and scored,
not enumerated.
"""

import sys

from torch import nn

from ppvae import IWAE, Experiment
from ppvae.cli import main
from ppvae.data import Data
from ppvae.distributions import BernoulliLikelihood, BernoulliPrior
from ppvae.estimators import VIMCO
from ppvae.exact import ExactSum, binary_codes
from ppvae.guides import BernoulliGuide
from ppvae.models import VAE
from ppvae.networks import MLP

__all__ = ["ESTIMATORS", "bernoulli_latents"]

ESTIMATORS = ("elbo:5+score", "iwae:5+vimco", "rws:5")


def bernoulli_latents(data: Data, latent_dim: int = 8, hidden: int = 100) -> Experiment:
    """A VAE whose code is a few bits, with every integral a sum over all codes.

    Args:
        data: binary rows, (N, P).
        latent_dim: D, the number of bits, at most 12.
        hidden: width of the one hidden layer of encoder and decoder.
    """
    codes = binary_codes(latent_dim)
    decoder = MLP(latent_dim, [hidden], data.data_dim, activation=nn.ReLU)
    model = VAE(decoder, BernoulliPrior(latent_dim), BernoulliLikelihood())
    guide = BernoulliGuide(MLP(data.data_dim, [hidden], latent_dim, activation=nn.ReLU))
    exact = ExactSum(model, guide, {"z": codes})
    return Experiment(
        model=model,
        guide=guide,
        estimator=IWAE(5, gradient=VIMCO()),
        epochs=100,
        lr=1e-3,
        log_evidence=exact.log_evidence,
        elbo=exact.elbo,
        cross_entropy=exact.cross_entropy,
    )


if __name__ == "__main__":
    sys.exit(main(["fit", "bernoulli-latents", *sys.argv[1:]]))
