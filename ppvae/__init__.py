"""Latent-variable models on Pyro: a model, a guide, an objective, and the truth beside them."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ppvae.bench import gradients
    from ppvae.by_class import by_class
    from ppvae.check import Report, check
    from ppvae.codes import encode, reconstruct
    from ppvae.compare import Comparison, compare
    from ppvae.coordinate_ascent import coordinate_ascent
    from ppvae.diagnose import NotFiniteError
    from ppvae.draws import log_terms
    from ppvae.em import em
    from ppvae.estimators import (
        CIWAE,
        CUBO,
        ELBO,
        IWAE,
        MIWAE,
        PIWAE,
        TVO,
        BetaELBO,
        CapacityELBO,
        ConstrainedELBO,
        Estimator,
        FreeBitsELBO,
        OfWeights,
        Renyi,
        ReweightedWakeSleep,
        ScoreClimbing,
        SemiSupervised,
        TailAdaptive,
        UpperTVO,
        VRMax,
    )
    from ppvae.estimators.gradients import (
        VIMCO,
        DoublyReparameterized,
        ScoreFunction,
        StickingTheLanding,
    )
    from ppvae.evaluate import evaluate
    from ppvae.experiment import Experiment
    from ppvae.fit import fit
    from ppvae.generate import generate, sample
    from ppvae.impute import impute
    from ppvae.inference_gaps import inference_gaps
    from ppvae.latents import interpolate, latent_map, manifold
    from ppvae.pair import Pair
    from ppvae.predict import predict
    from ppvae.refine import Refined, refine
    from ppvae.run import Run
    from ppvae.runs import load_run, resume
    from ppvae.schedules import Schedule
    from ppvae.sharpness import sharpness
    from ppvae.svi import SVI
    from ppvae.terms import LogTerms
    from ppvae.to_arviz import to_arviz
    from ppvae.traversals import pushforward, traverse

__all__ = [
    "CIWAE",
    "CUBO",
    "ELBO",
    "IWAE",
    "MIWAE",
    "PIWAE",
    "SVI",
    "TVO",
    "VIMCO",
    "BetaELBO",
    "CapacityELBO",
    "Comparison",
    "ConstrainedELBO",
    "DoublyReparameterized",
    "Estimator",
    "Experiment",
    "FreeBitsELBO",
    "LogTerms",
    "NotFiniteError",
    "OfWeights",
    "Pair",
    "Refined",
    "Renyi",
    "Report",
    "ReweightedWakeSleep",
    "Run",
    "Schedule",
    "ScoreClimbing",
    "ScoreFunction",
    "SemiSupervised",
    "StickingTheLanding",
    "TailAdaptive",
    "UpperTVO",
    "VRMax",
    "by_class",
    "check",
    "compare",
    "coordinate_ascent",
    "em",
    "encode",
    "evaluate",
    "fit",
    "generate",
    "gradients",
    "impute",
    "inference_gaps",
    "interpolate",
    "latent_map",
    "load_run",
    "log_terms",
    "manifold",
    "predict",
    "pushforward",
    "reconstruct",
    "refine",
    "resume",
    "sample",
    "sharpness",
    "to_arviz",
    "traverse",
]

# Where the names are. They are imported when they are used: torch and Pyro take seconds to
# import, and the command line has something to say before.
_HOMES = {
    "bench": "gradients",
    "by_class": "by_class",
    "check": "Report check",
    "codes": "encode reconstruct",
    "compare": "Comparison compare",
    "coordinate_ascent": "coordinate_ascent",
    "diagnose": "NotFiniteError",
    "draws": "log_terms",
    "em": "em",
    "estimators": " ".join(
        (
            "CIWAE CUBO ELBO IWAE MIWAE PIWAE TVO UpperTVO VRMax Renyi TailAdaptive",
            "BetaELBO CapacityELBO ConstrainedELBO FreeBitsELBO ReweightedWakeSleep",
            "ScoreClimbing SemiSupervised Estimator OfWeights",
        )
    ),
    "estimators.gradients": "DoublyReparameterized ScoreFunction StickingTheLanding VIMCO",
    "evaluate": "evaluate",
    "experiment": "Experiment",
    "fit": "fit",
    "generate": "generate sample",
    "impute": "impute",
    "inference_gaps": "inference_gaps",
    "latents": "interpolate latent_map manifold",
    "pair": "Pair",
    "predict": "predict",
    "refine": "Refined refine",
    "run": "Run",
    "runs": "load_run resume",
    "schedules": "Schedule",
    "sharpness": "sharpness",
    "svi": "SVI",
    "terms": "LogTerms",
    "to_arviz": "to_arviz",
    "traversals": "pushforward traverse",
}
_HOME = {name: f"ppvae.{home}" for home, names in _HOMES.items() for name in names.split()}


class _OnDemand(ModuleType):
    """A package whose names are found when asked for, before modules that are called the same."""

    def __getattribute__(self, name: str) -> Any:
        if name in _HOME:
            return getattr(importlib.import_module(_HOME[name]), name)
        return super().__getattribute__(name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *__all__})


sys.modules[__name__].__class__ = _OnDemand
