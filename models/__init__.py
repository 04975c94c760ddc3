"""p: generative models as Pyro programs, one idea a file."""

from .bayesian_gaussian_mixture import BayesianGaussianMixture
from .bayesian_logistic_regression import BayesianLogisticRegression
from .bayesian_vae import BayesianVAE
from .cluster_mixture import ClusterMixture
from .cvae import CVAE
from .gaussian_mixture import GaussianMixture
from .gaussian_toy import GaussianToy
from .hierarchical_vae import HierarchicalVAE
from .linear_gaussian import LinearGaussian
from .m1_m2 import M1M2
from .m2 import M2
from .squared import Squared
from .two_layers import TwoLayers
from .vae import VAE
from .vqvae import VQVAE

__all__ = [
    "CVAE",
    "M1M2",
    "M2",
    "VAE",
    "VQVAE",
    "BayesianGaussianMixture",
    "BayesianLogisticRegression",
    "BayesianVAE",
    "ClusterMixture",
    "GaussianMixture",
    "GaussianToy",
    "HierarchicalVAE",
    "LinearGaussian",
    "Squared",
    "TwoLayers",
]
