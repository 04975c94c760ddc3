"""Priors and likelihoods: the parts of a model that are distributions."""

from ppvae.distributions.bernoulli import BernoulliLikelihood
from ppvae.distributions.bernoulli_prior import BernoulliPrior
from ppvae.distributions.flat import Flat, FlatPrior
from ppvae.distributions.gaussian import GaussianLikelihood
from ppvae.distributions.standard_normal import StandardNormal

__all__ = [
    "BernoulliLikelihood",
    "BernoulliPrior",
    "Flat",
    "FlatPrior",
    "GaussianLikelihood",
    "StandardNormal",
]
