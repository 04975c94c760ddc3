"""Gradient estimators, chosen apart from the bound whose gradient they estimate."""

from ppvae.estimators.gradients.baselines import (
    Baseline,
    LeaveOneOut,
    MovingAverage,
    NeuralBaseline,
)
from ppvae.estimators.gradients.control_variates import ControlVariates
from ppvae.estimators.gradients.doubly_reparameterized import DoublyReparameterized
from ppvae.estimators.gradients.score_function import ScoreFunction
from ppvae.estimators.gradients.self_normalized import SelfNormalized
from ppvae.estimators.gradients.sticking_the_landing import StickingTheLanding
from ppvae.estimators.gradients.vimco import VIMCO

__all__ = [
    "VIMCO",
    "Baseline",
    "ControlVariates",
    "DoublyReparameterized",
    "LeaveOneOut",
    "MovingAverage",
    "NeuralBaseline",
    "ScoreFunction",
    "SelfNormalized",
    "StickingTheLanding",
]
