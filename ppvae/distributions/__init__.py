"""Priors and likelihoods: the parts of a model that are distributions."""

from ppvae.distributions.autoregressive import Autoregressive, AutoregressiveLikelihood
from ppvae.distributions.bernoulli import BernoulliLikelihood
from ppvae.distributions.bernoulli_prior import BernoulliPrior
from ppvae.distributions.bits import Bits
from ppvae.distributions.categorical_prior import CategoricalPrior
from ppvae.distributions.codes import AutoregressiveCodes, Codes, UniformCodes
from ppvae.distributions.concrete import BinaryConcrete, Concrete, ReadBits, ReadStates
from ppvae.distributions.concrete_prior import BinaryConcretePrior, ConcretePrior
from ppvae.distributions.continuous_bernoulli import ContinuousBernoulliLikelihood
from ppvae.distributions.covariances import (
    Covariance,
    DiagonalCovariance,
    FullCovariance,
    TiedCovariance,
)
from ppvae.distributions.diagonal import diagonal_gaussian
from ppvae.distributions.diagonal_mixture import DiagonalMixture
from ppvae.distributions.fits import refuse_misfit, refuse_other_than_rows, rule_of
from ppvae.distributions.flat import Flat, FlatPrior
from ppvae.distributions.flow_prior import FlowPrior
from ppvae.distributions.full_gaussian import full_gaussian, full_gaussian_width
from ppvae.distributions.gaussian import GaussianLikelihood, PixelGaussianLikelihood
from ppvae.distributions.gaussian_product import gaussian_product
from ppvae.distributions.grey_levels import (
    CategoricalLikelihood,
    DiscretizedLogistic,
    DiscretizedLogisticLikelihood,
)
from ppvae.distributions.labels import refuse_labels
from ppvae.distributions.leapfrog import leapfrog
from ppvae.distributions.masked import masked
from ppvae.distributions.mixture_prior import MixturePrior, VampPrior
from ppvae.distributions.normal_wishart import NormalWishart
from ppvae.distributions.observed import PartlyObserved
from ppvae.distributions.one_draw import OneDraw
from ppvae.distributions.point import Point
from ppvae.distributions.relaxed import GumbelLabels, RelaxedLabel, RelaxedPrior, refuse_temperature
from ppvae.distributions.standard_normal import StandardNormal
from ppvae.distributions.stratum import Stratum
from ppvae.distributions.student_t import StudentTLikelihood
from ppvae.distributions.sylvester import Sylvester
from ppvae.distributions.transforms import Transforms
from ppvae.distributions.wishart import Wishart

__all__ = [
    "Autoregressive",
    "AutoregressiveCodes",
    "AutoregressiveLikelihood",
    "BernoulliLikelihood",
    "BernoulliPrior",
    "BinaryConcrete",
    "BinaryConcretePrior",
    "Bits",
    "CategoricalLikelihood",
    "CategoricalPrior",
    "Codes",
    "Concrete",
    "ConcretePrior",
    "ContinuousBernoulliLikelihood",
    "Covariance",
    "DiagonalCovariance",
    "DiagonalMixture",
    "DiscretizedLogistic",
    "DiscretizedLogisticLikelihood",
    "Flat",
    "FlatPrior",
    "FlowPrior",
    "FullCovariance",
    "GaussianLikelihood",
    "GumbelLabels",
    "MixturePrior",
    "NormalWishart",
    "OneDraw",
    "PartlyObserved",
    "PixelGaussianLikelihood",
    "Point",
    "ReadBits",
    "ReadStates",
    "RelaxedLabel",
    "RelaxedPrior",
    "StandardNormal",
    "Stratum",
    "StudentTLikelihood",
    "Sylvester",
    "TiedCovariance",
    "Transforms",
    "UniformCodes",
    "VampPrior",
    "Wishart",
    "diagonal_gaussian",
    "full_gaussian",
    "full_gaussian_width",
    "gaussian_product",
    "leapfrog",
    "masked",
    "refuse_labels",
    "refuse_misfit",
    "refuse_other_than_rows",
    "refuse_temperature",
    "rule_of",
]
