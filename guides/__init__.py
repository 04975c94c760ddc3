"""q: guides as Pyro programs, one idea a file."""

from .delta import DeltaGuide
from .gaussian import GaussianGuide

__all__ = ["DeltaGuide", "GaussianGuide"]
