"""Latent-variable models on Pyro: a model, a guide, an objective, and the truth beside them."""

from ppvae.estimators import ELBO, IWAE, Estimator, Renyi
from ppvae.svi import SVI
from ppvae.terms import LogTerms, log_terms

__all__ = ["ELBO", "IWAE", "SVI", "Estimator", "LogTerms", "Renyi", "log_terms"]
