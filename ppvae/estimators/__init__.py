"""Estimators: each turns log-terms into a bound per datum and a gradient to follow."""

from ppvae.estimators.around_elbo import AroundELBO
from ppvae.estimators.base import BoundKind, Estimator
from ppvae.estimators.beta import BetaELBO
from ppvae.estimators.capacity import CapacityELBO
from ppvae.estimators.ciwae import CIWAE
from ppvae.estimators.constrained import ConstrainedELBO
from ppvae.estimators.cubo import CUBO
from ppvae.estimators.elbo import ELBO
from ppvae.estimators.free_bits import FreeBitsELBO
from ppvae.estimators.gradient import Gradient, Reparameterized
from ppvae.estimators.gradients import (
    VIMCO,
    Baseline,
    ControlVariates,
    DoublyReparameterized,
    LeaveOneOut,
    MovingAverage,
    NeuralBaseline,
    ScoreFunction,
    SelfNormalized,
    StickingTheLanding,
)
from ppvae.estimators.iwae import IWAE
from ppvae.estimators.miwae import MIWAE
from ppvae.estimators.of_weights import OfWeights
from ppvae.estimators.partition import equally_spaced, log_spaced
from ppvae.estimators.piwae import PIWAE
from ppvae.estimators.renyi import Renyi
from ppvae.estimators.reweighted_wake_sleep import ReweightedWakeSleep
from ppvae.estimators.score_climbing import ScoreClimbing
from ppvae.estimators.semi_supervised import SemiSupervised
from ppvae.estimators.tail_adaptive import TailAdaptive
from ppvae.estimators.tvo import TVO
from ppvae.estimators.upper_tvo import UpperTVO
from ppvae.estimators.vr_max import VRMax

__all__ = [
    "CIWAE",
    "CUBO",
    "ELBO",
    "IWAE",
    "MIWAE",
    "PIWAE",
    "TVO",
    "VIMCO",
    "AroundELBO",
    "Baseline",
    "BetaELBO",
    "BoundKind",
    "CapacityELBO",
    "ConstrainedELBO",
    "ControlVariates",
    "DoublyReparameterized",
    "Estimator",
    "FreeBitsELBO",
    "Gradient",
    "LeaveOneOut",
    "MovingAverage",
    "NeuralBaseline",
    "OfWeights",
    "Renyi",
    "Reparameterized",
    "ReweightedWakeSleep",
    "ScoreClimbing",
    "ScoreFunction",
    "SelfNormalized",
    "SemiSupervised",
    "StickingTheLanding",
    "TailAdaptive",
    "UpperTVO",
    "VRMax",
    "equally_spaced",
    "log_spaced",
]
