"""q: guides as Pyro programs, one idea a file."""

from .affine import AffineGuide
from .bernoulli import BernoulliGuide
from .categorical import CategoricalGuide
from .delta import DeltaGuide
from .gaussian import GaussianGuide
from .layered_gaussian import LayeredGaussianGuide

__all__ = [
    "AffineGuide",
    "BernoulliGuide",
    "CategoricalGuide",
    "DeltaGuide",
    "GaussianGuide",
    "LayeredGaussianGuide",
]
