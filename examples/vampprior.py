"""Priors beyond the standard normal: what does a learned p(z) buy?

    ppvae fit vampprior                                 # VampPrior with 100 pseudo-inputs
    ppvae fit vampprior --kind flow
    ppvae compare vampprior --vary components=10,100 --estimators elbo
    python -m ppvae.examples.vampprior                  # every kind, five seeds

Model and networks are those of `vae`. The pseudo-inputs begin at training rows, moved into (0, 1);
their number is that of the mixture's components too.

Source: Tomczak & Welling (2018), arXiv:1705.07120.
"""

import sys

import torch
from torch import nn
from zuko.flows import MaskedAutoregressiveTransform
from zuko.transforms import MonotonicRQSTransform

from ppvae import Experiment
from ppvae.cli import main
from ppvae.data import Data
from ppvae.distributions import (
    BernoulliLikelihood,
    FlowPrior,
    MixturePrior,
    StandardNormal,
    VampPrior,
)
from ppvae.guides import GaussianGuide
from ppvae.models import VAE
from ppvae.networks import MLP

__all__ = ["vampprior"]

KINDS = ("standard", "mixture", "vamp", "flow")
BINS = 8


def vampprior(
    data: Data,
    kind: str = "vamp",
    components: int = 100,
    latent_dim: int = 20,
    hidden: int = 400,
    depth: int = 1,
) -> Experiment:
    """A VAE with a Bernoulli likelihood and a learned prior.

    Args:
        data: binary rows, (N, P).
        kind: standard, mixture, vamp or flow.
        components: of a mixture; pseudo-inputs of a VampPrior.
        latent_dim: D, width of the code z.
        hidden: width of the hidden layers of encoder and decoder.
        depth: how many hidden layers each has.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}; got {kind!r}.")
    widths = [hidden] * depth
    decoder = MLP(latent_dim, widths, data.data_dim, activation=nn.ReLU)
    guide = GaussianGuide(MLP(data.data_dim, widths, 2 * latent_dim, activation=nn.ReLU))
    prior = _prior(data, kind, components, latent_dim, guide)
    small = data.num_train < 10_000
    return Experiment(
        model=VAE(decoder, prior, BernoulliLikelihood()),
        guide=guide,
        epochs=35 if small else 20,
        lr=2e-3 if small else 1e-3,
        batch_size=64 if small else 128,
    )


def _prior(
    data: Data, kind: str, components: int, latent_dim: int, guide: GaussianGuide
) -> nn.Module:
    if kind == "standard":
        return StandardNormal(latent_dim)
    if kind == "mixture":
        return MixturePrior(latent_dim, components)
    if kind == "vamp":
        if not 1 <= components <= data.num_train:
            raise ValueError(
                f"components must lie between 1 and the number of training rows, {data.num_train}, "
                f"at which pseudo-inputs begin; got {components}."
            )
        rows = data.train["x"][torch.randperm(data.num_train)[:components]]
        return VampPrior(guide.distribution, torch.logit(0.9 * rows + 0.05), squash=torch.sigmoid)
    # Couplings: quick to draw from and to score.
    order = torch.arange(latent_dim)
    flows = [
        MaskedAutoregressiveTransform(
            latent_dim,
            passes=2,
            order=order.flip(0) if number % 2 else order,
            univariate=MonotonicRQSTransform,
            shapes=((BINS,), (BINS,), (BINS - 1,)),
            hidden_features=(64, 64),
        ).inv
        for number in range(4)
    ]
    return FlowPrior(latent_dim, flows)


if __name__ == "__main__":
    kinds = ["--vary", f"kind={','.join(KINDS)}", "--estimators", "elbo"]
    sys.exit(main(["compare", "vampprior", *kinds, *sys.argv[1:]]))
