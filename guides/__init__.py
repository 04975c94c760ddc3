"""q: guides as Pyro programs, one idea a file."""

from .affine import AffineGuide
from .bernoulli import BernoulliGuide
from .binary_concrete import BinaryConcreteGuide
from .categorical import CategoricalGuide
from .concrete import ConcreteGuide
from .cvae import CVAEGuide
from .delta import DeltaGuide
from .empty import EmptyGuide
from .flow import FlowGuide
from .full_gaussian import FullGaussianGuide
from .gaussian import GaussianGuide
from .global_full_rank import GlobalFullRankGuide
from .global_mean_field import GlobalMeanFieldGuide
from .hamiltonian import HamiltonianGuide
from .ladder import LadderGuide
from .layered_gaussian import LayeredGaussianGuide
from .m1_m2 import M1M2Guide
from .m2 import M2Guide
from .masked import MaskedGuide
from .mixture import MixtureGuide
from .normal_wishart import NormalWishartGuide
from .per_datum import PerDatumGuide
from .per_datum_categorical import PerDatumCategoricalGuide
from .vq import VQGuide
from .weights_and_codes import WeightsAndCodesGuide

__all__ = [
    "AffineGuide",
    "BernoulliGuide",
    "BinaryConcreteGuide",
    "CVAEGuide",
    "CategoricalGuide",
    "ConcreteGuide",
    "DeltaGuide",
    "EmptyGuide",
    "FlowGuide",
    "FullGaussianGuide",
    "GaussianGuide",
    "GlobalFullRankGuide",
    "GlobalMeanFieldGuide",
    "HamiltonianGuide",
    "LadderGuide",
    "LayeredGaussianGuide",
    "M1M2Guide",
    "M2Guide",
    "MaskedGuide",
    "MixtureGuide",
    "NormalWishartGuide",
    "PerDatumCategoricalGuide",
    "PerDatumGuide",
    "VQGuide",
    "WeightsAndCodesGuide",
]
