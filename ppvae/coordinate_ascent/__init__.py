"""Mean-field variational inference by coordinate ascent: one factor of q after the other."""

from ppvae.coordinate_ascent.ascent import Ascent, coordinate_ascent
from ppvae.coordinate_ascent.gaussian import MeanFieldGaussian
from ppvae.coordinate_ascent.mixture import MeanFieldMixture
from ppvae.coordinate_ascent.weights import (
    DirichletWeights,
    MixtureWeights,
    StickBreakingWeights,
)

__all__ = [
    "Ascent",
    "DirichletWeights",
    "MeanFieldGaussian",
    "MeanFieldMixture",
    "MixtureWeights",
    "StickBreakingWeights",
    "coordinate_ascent",
]
