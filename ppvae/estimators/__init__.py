"""Estimators: each turns log-terms into a bound per datum and a gradient to follow."""

from ppvae.estimators.base import BoundKind, Estimator
from ppvae.estimators.elbo import ELBO
from ppvae.estimators.gradient import Gradient, Reparameterized
from ppvae.estimators.iwae import IWAE
from ppvae.estimators.of_weights import OfWeights
from ppvae.estimators.renyi import Renyi

__all__ = [
    "ELBO",
    "IWAE",
    "BoundKind",
    "Estimator",
    "Gradient",
    "OfWeights",
    "Renyi",
    "Reparameterized",
]
