"""Pairs of bits and states, summed out or relaxed: part of the registry of pairs."""

from functools import partial

from torch import nn

from ppvae.distributions import (
    BernoulliLikelihood,
    BernoulliPrior,
    BinaryConcretePrior,
    ConcretePrior,
    ReadBits,
    ReadStates,
)
from ppvae.guides import BernoulliGuide, BinaryConcreteGuide, ConcreteGuide
from ppvae.models import VAE
from ppvae.networks import MLP

__all__ = ["DISCRETE", "STATES", "relaxed_bits"]

STATES = 3


def enumerated_bits(width, latent_dim):
    model = VAE(MLP(latent_dim, [6], width), BernoulliPrior(latent_dim), BernoulliLikelihood())
    return model, BernoulliGuide(MLP(width, [6], latent_dim), enumerated=True)


def relaxed_bits(width, latent_dim, hard=False):
    decoder = nn.Sequential(ReadBits(hard), MLP(latent_dim, [6], width))
    model = VAE(decoder, BinaryConcretePrior(latent_dim), BernoulliLikelihood())
    return model, BinaryConcreteGuide(MLP(width, [6], latent_dim))


def relaxed_states(width, latent_dim):
    decoder = nn.Sequential(ReadStates(), MLP(STATES * latent_dim, [6], width))
    model = VAE(decoder, ConcretePrior(latent_dim, STATES), BernoulliLikelihood())
    return model, ConcreteGuide(MLP(width, [6], STATES * latent_dim), STATES)


# Constructors by name, from the widths of data and code.
DISCRETE = {
    "bits-enumerated": enumerated_bits,
    "bits-relaxed": relaxed_bits,
    "bits-hard": partial(relaxed_bits, hard=True),
    "states-relaxed": relaxed_states,
}
