"""Exact log p(x), ELBO and cross-entropy of the pairs that have them, to hold estimates against."""

from ppvae.exact.gaussian import ExactGaussian
from ppvae.exact.on_batch import exact_on, knows
from ppvae.exact.states import binary_codes, grid
from ppvae.exact.summed import ExactSum

__all__ = ["ExactGaussian", "ExactSum", "binary_codes", "exact_on", "grid", "knows"]
