"""p: generative models as Pyro programs, one idea a file."""

from .linear_gaussian import LinearGaussian
from .vae import VAE

__all__ = ["VAE", "LinearGaussian"]
