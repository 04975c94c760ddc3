"""Guides beyond the diagonal Gaussian: what does a richer q(z|x) buy?

    ppvae fit flow-guide --kind iaf
    ppvae compare vae flow-guide vampprior --estimators elbo    # pairs in one table
    ppvae compare flow-guide --vary kind=diagonal,iaf --estimators elbo iwae:5
    python -m ppvae.examples.flow_guide                 # every kind, five seeds

Model and networks are those of `vae`, with a code of fewer coordinates; the guide's encoder gives
what each kind takes.

Sources: Rezende & Mohamed (2015), arXiv:1505.05770 (planar, radial); Kingma et al. (2016),
arXiv:1606.04934 (IAF); van den Berg et al. (2018), arXiv:1803.05649 (Sylvester); Durkan et al.
(2019), arXiv:1906.04032 (splines); Salimans et al. (2015), arXiv:1410.6460 (hamiltonian).
"""

import sys
from collections.abc import Callable
from typing import Any

import torch
from pyro.distributions.transforms import conditional_planar, conditional_radial
from torch import nn
from zuko.flows import MaskedAutoregressiveTransform
from zuko.transforms import MonotonicRQSTransform

from ppvae import Experiment
from ppvae.cli import main
from ppvae.data import Data
from ppvae.distributions import (
    BernoulliLikelihood,
    StandardNormal,
    Sylvester,
    full_gaussian_width,
)
from ppvae.guides import FlowGuide, FullGaussianGuide, GaussianGuide, HamiltonianGuide, MixtureGuide
from ppvae.models import VAE
from ppvae.networks import MLP

__all__ = ["flow_guide"]

CONTEXT = 16
BINS = 8
COMPONENTS = 4
SPLINE = {"univariate": MonotonicRQSTransform, "shapes": ((BINS,), (BINS,), (BINS - 1,))}


def autoregressive(latent_dim: int, number: int, **kind: Any) -> nn.Module:
    """Of every second one the order of coordinates is turned round."""
    order = torch.arange(latent_dim)
    transform: nn.Module = MaskedAutoregressiveTransform(
        latent_dim,
        CONTEXT,
        order=order.flip(0) if number % 2 else order,
        hidden_features=(64, 64),
        **kind,
    )
    return transform


# From the width of the code and the number of a transform to it, by name.
FLOWS: dict[str, Callable[[int, int], Any]] = {
    "planar": lambda latent_dim, _: conditional_planar(latent_dim, CONTEXT, [64]),
    "radial": lambda latent_dim, _: conditional_radial(latent_dim, CONTEXT, [64]),
    "sylvester": lambda latent_dim, _: Sylvester(latent_dim, CONTEXT),
    "iaf": autoregressive,
    "spline": lambda latent_dim, number: autoregressive(latent_dim, number, **SPLINE),
}
KINDS = ("diagonal", "full", "mixture", "hamiltonian", *FLOWS)


def flow_guide(
    data: Data,
    kind: str = "iaf",
    transforms: int = 2,
    latent_dim: int = 8,
    hidden: int = 400,
    depth: int = 1,
) -> Experiment:
    """A VAE with a Bernoulli likelihood and a guide beyond the diagonal Gaussian.

    Args:
        data: binary rows, (N, P).
        kind: diagonal, full, mixture, hamiltonian, planar, radial, sylvester, iaf or spline.
        transforms: how many of a flow's; leapfrog steps of hamiltonian.
        latent_dim: D, width of the code z.
        hidden: width of the hidden layers of encoder and decoder.
        depth: how many hidden layers each has.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}; got {kind!r}.")
    widths = [hidden] * depth
    decoder = MLP(latent_dim, widths, data.data_dim, activation=nn.ReLU)
    model = VAE(decoder, StandardNormal(latent_dim), BernoulliLikelihood())
    small = data.num_train < 10_000
    return Experiment(
        model=model,
        guide=_hamiltonian(model, data.data_dim, transforms, latent_dim, widths)
        if kind == "hamiltonian"
        else _guide(data.data_dim, kind, transforms, latent_dim, widths),
        epochs=35 if small else 20,
        lr=2e-3 if small else 1e-3,
        batch_size=64 if small else 128,
    )


def _guide(width: int, kind: str, transforms: int, latent_dim: int, widths: list[int]) -> nn.Module:
    def encoder(out: int) -> nn.Module:
        return MLP(width, widths, out, activation=nn.ReLU)

    if kind == "diagonal":
        return GaussianGuide(encoder(2 * latent_dim))
    if kind == "full":
        return FullGaussianGuide(encoder(full_gaussian_width(latent_dim)))
    if kind == "mixture":
        return MixtureGuide(encoder(COMPONENTS * (1 + 2 * latent_dim)), COMPONENTS)
    flows = [FLOWS[kind](latent_dim, number) for number in range(transforms)]
    return FlowGuide(encoder(2 * latent_dim + CONTEXT), flows, CONTEXT)


def _hamiltonian(
    model: nn.Module, width: int, steps: int, latent_dim: int, widths: list[int]
) -> nn.Module:
    encoder = MLP(width, widths, 2 * latent_dim, activation=nn.ReLU)
    reverse = MLP([latent_dim, width], widths, 2 * latent_dim, activation=nn.ReLU)
    return HamiltonianGuide(encoder, reverse, model, latent_dim, steps)


if __name__ == "__main__":
    kinds = ["--vary", f"kind={','.join(KINDS)}", "--estimators", "elbo"]
    sys.exit(main(["compare", "flow-guide", *kinds, *sys.argv[1:]]))
