"""Latent-variable models on Pyro: a model, a guide, an objective, and the truth beside them."""

from ppvae.check import Report, check
from ppvae.codes import encode, reconstruct
from ppvae.diagnose import NotFiniteError
from ppvae.draws import log_terms
from ppvae.estimators import ELBO, IWAE, Estimator, Renyi
from ppvae.experiment import Experiment
from ppvae.fit import fit
from ppvae.generate import generate, sample
from ppvae.latents import interpolate, latent_map, manifold
from ppvae.pair import Pair
from ppvae.run import Run
from ppvae.runs import load_run, resume
from ppvae.svi import SVI
from ppvae.terms import LogTerms

__all__ = [
    "ELBO",
    "IWAE",
    "SVI",
    "Estimator",
    "Experiment",
    "LogTerms",
    "NotFiniteError",
    "Pair",
    "Renyi",
    "Report",
    "Run",
    "check",
    "encode",
    "fit",
    "generate",
    "interpolate",
    "latent_map",
    "load_run",
    "log_terms",
    "manifold",
    "reconstruct",
    "resume",
    "sample",
]
