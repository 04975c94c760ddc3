"""Estimators compared on the same data, from the same initial weights."""

from ppvae.compare.comparison import Comparison
from ppvae.compare.job import compare

__all__ = ["Comparison", "compare"]
