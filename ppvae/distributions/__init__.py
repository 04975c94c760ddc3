"""Priors and likelihoods: the parts of a model that are distributions."""

from ppvae.distributions.bernoulli import BernoulliLikelihood
from ppvae.distributions.bernoulli_prior import BernoulliPrior
from ppvae.distributions.categorical_prior import CategoricalPrior
from ppvae.distributions.continuous_bernoulli import ContinuousBernoulliLikelihood
from ppvae.distributions.covariances import (
    Covariance,
    DiagonalCovariance,
    FullCovariance,
    TiedCovariance,
)
from ppvae.distributions.diagonal import diagonal_gaussian
from ppvae.distributions.diagonal_mixture import DiagonalMixture
from ppvae.distributions.fits import refuse_misfit, refuse_other_than_rows
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
from ppvae.distributions.relaxed import GumbelLabels, RelaxedLabel, RelaxedPrior
from ppvae.distributions.standard_normal import StandardNormal
from ppvae.distributions.stratum import Stratum
from ppvae.distributions.student_t import StudentTLikelihood
from ppvae.distributions.sylvester import Sylvester
from ppvae.distributions.transforms import Transforms
from ppvae.distributions.wishart import Wishart

__all__ = [
    "BernoulliLikelihood",
    "BernoulliPrior",
    "CategoricalLikelihood",
    "CategoricalPrior",
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
    "RelaxedLabel",
    "RelaxedPrior",
    "StandardNormal",
    "Stratum",
    "StudentTLikelihood",
    "Sylvester",
    "TiedCovariance",
    "Transforms",
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
]
