"""p: generative models as Pyro programs, one idea a file."""

from .cluster_mixture import ClusterMixture
from .gaussian_toy import GaussianToy
from .linear_gaussian import LinearGaussian
from .squared import Squared
from .two_layers import TwoLayers
from .vae import VAE

__all__ = ["VAE", "ClusterMixture", "GaussianToy", "LinearGaussian", "Squared", "TwoLayers"]
