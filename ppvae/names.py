"""The table of estimators that have a name to type, and what stands behind each."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pyro.infer

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
    FreeBitsELBO,
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
    ControlVariates,
    DoublyReparameterized,
    LeaveOneOut,
    MovingAverage,
    ScoreFunction,
    StickingTheLanding,
)
from ppvae.kinds import Kind, Part, Setting
from ppvae.schedules import Schedule

__all__ = ["ALL", "GRADIENTS", "KINDS"]

_RAISED = 0.5


def _k(default: int = 5) -> Setting:
    return Setting("K", int, default, "num_particles")


def _number(word: str, default: float, attribute: str) -> Setting:
    return Setting(word, float, default, attribute)


def _warm_up(fraction: float) -> BetaELBO:
    return BetaELBO(Schedule(0.0, 1.0, fraction=fraction))


def _raised(gamma: float, capacity: float) -> CapacityELBO:
    return CapacityELBO(gamma, Schedule(0.0, capacity, fraction=_RAISED))


def _of_labels(alpha: float, beta: float, num_particles: int) -> SemiSupervised:
    of = ELBO() if num_particles == 1 else IWAE(num_particles, expected=True)
    return SemiSupervised(alpha, beta, of=of)


def _vectorized(constructor: Callable[..., pyro.infer.ELBO], num_particles: int) -> Any:
    if num_particles < 1:
        raise ValueError(f"num_particles must be at least 1; got {num_particles}.")
    return constructor(num_particles=num_particles, vectorize_particles=num_particles > 1)


def _pyro_renyi(alpha: float, num_particles: int) -> pyro.infer.ELBO:
    if alpha == 1 or not math.isfinite(alpha):
        raise ValueError(f"alpha must be finite and not 1, which is the ELBO; got {alpha:g}.")
    if num_particles < 1:
        raise ValueError(f"num_particles must be at least 1; got {num_particles}.")
    return pyro.infer.RenyiELBO(alpha, num_particles, vectorize_particles=True)


def _pyros(name: str) -> Kind:
    made = getattr(pyro.infer, name)
    return Kind(made, "Pyro's own", (_k(1),), partial(_vectorized, made), brief=True)


_GROUPS = (Setting("M", int, 5, "num_groups"), Setting("K", int, 5, "group_size"))
_INTERVALS = Setting("P", int, 5, "means.num_partitions")
_WEIGHTED = ("gradient", "expected")
_ALPHA = _number("ALPHA", 0.5, "alpha")

KINDS: dict[str, Kind] = {
    "elbo": Kind(
        ELBO,
        "evidence lower bound, the mean of K draws",
        (_k(1),),
        parts=("gradient",),
        in_pyro=("Trace_ELBO", {}),
        brief=True,
    ),
    "elbo-kl": Kind(
        ELBO,
        "the same with KL in closed form where there is one",
        (_k(1),),
        partial(ELBO, analytic_kl=True),
        ("gradient",),
        ("TraceMeanField_ELBO", {}),
        brief=True,
    ),
    "iwae": Kind(
        IWAE,
        "importance-weighted bound of K draws",
        (_k(),),
        parts=_WEIGHTED,
        in_pyro=("RenyiELBO", {"alpha": "0"}),
    ),
    "renyi": Kind(
        Renyi,
        "variational Renyi bound of order ALPHA",
        (_ALPHA, _k()),
        parts=_WEIGHTED,
        in_pyro=("RenyiELBO", {"alpha": "alpha"}),
    ),
    "vr-max": Kind(VRMax, "largest of the K weights; no bound", (_k(),), parts=_WEIGHTED),
    "miwae": Kind(
        MIWAE, "mean of M importance-weighted bounds of K draws", _GROUPS, None, _WEIGHTED
    ),
    "piwae": Kind(
        PIWAE,
        "iwae of M times K draws for the model, miwae for the guide",
        (Setting("M", int, 5, "groups.num_groups"), Setting("K", int, 5, "groups.group_size")),
        None,
        _WEIGHTED,
    ),
    "ciwae": Kind(
        CIWAE,
        "BETA of the ELBO, the rest of iwae",
        (_number("BETA", 0.5, "beta"), _k()),
        None,
        _WEIGHTED,
    ),
    "tvo": Kind(
        TVO,
        "thermodynamic objective, left sum over P intervals",
        (_INTERVALS, _k()),
        parts=_WEIGHTED,
    ),
    "tvo-upper": Kind(
        UpperTVO, "thermodynamic upper estimate, right sum over P intervals", (_INTERVALS, _k())
    ),
    "cubo": Kind(CUBO, "chi upper estimate of order N", (_number("N", 2.0, "order"), _k())),
    "tail": Kind(TailAdaptive, "tail-adaptive f-divergence for the guide", (_k(),)),
    "rws": Kind(
        ReweightedWakeSleep,
        "reweighted wake-sleep: iwae for the model, wake for the guide",
        (_k(),),
        parts=("doubly_reparameterized",),
    ),
    "msc": Kind(
        ScoreClimbing, "Markovian score climbing, a chain for each row of the data", (_k(),)
    ),
    "sleep": Kind(
        ReweightedWakeSleep,
        "wake-sleep: iwae for the model, dreams for the guide",
        (_k(),),
        partial(ReweightedWakeSleep, insomnia=0.0),
    ),
    "beta": Kind(
        BetaELBO, "the ELBO with BETA times the KL followed", (_number("BETA", 4.0, "beta.start"),)
    ),
    "warm-up": Kind(
        BetaELBO,
        "the KL brought in over this FRACTION of the run",
        (_number("FRACTION", 0.3, "beta.fraction"),),
        _warm_up,
    ),
    "capacity": Kind(
        CapacityELBO,
        "GAMMA |KL - C| followed, C raised from 0 over half of the run",
        (_number("GAMMA", 100.0, "gamma"), _number("C", 10.0, "capacity.end")),
        _raised,
    ),
    "free-bits": Kind(
        FreeBitsELBO, "a KL below NATS is not lowered further", (_number("NATS", 0.5, "nats"),)
    ),
    "constrained": Kind(
        ConstrainedELBO,
        "a multiplier keeps the KL at KL nats",
        (_number("KL", 10.0, "kl"),),
        lambda kl: ConstrainedELBO(kl=kl),
    ),
    "m2": Kind(
        SemiSupervised,
        "the ELBO of rows with a label and BETA times that of the others, ALPHA times log q(y|x)",
        (
            _number("ALPHA", 1.0, "alpha"),
            _number("BETA", 1.0, "beta"),
            Setting("K", int, 1, "of.num_particles"),
        ),
        _of_labels,
    ),
    **{
        name: _pyros(name)
        for name in ("Trace_ELBO", "TraceMeanField_ELBO", "TraceGraph_ELBO", "TraceEnum_ELBO")
    },
    "RenyiELBO": Kind(
        pyro.infer.RenyiELBO, "Pyro's own", (_number("ALPHA", 0.0, "alpha"), _k()), _pyro_renyi
    ),
}

GRADIENTS: dict[str, Part] = {
    "stl": Part(StickingTheLanding, "path gradient of the guide: sticking the landing"),
    "dreg": Part(DoublyReparameterized, "doubly reparameterized gradient of the guide"),
    "vimco": Part(VIMCO, "score function with the other draws as its baseline, K at least 2"),
    "score": Part(ScoreFunction, "score function, Rao-Blackwellized, for sites without rsample"),
    "score-loo": Part(lambda: ScoreFunction(LeaveOneOut()), "the same, the other draws' mean less"),
    "score-mean": Part(lambda: ScoreFunction(MovingAverage()), "the same, a moving average less"),
    "score-all": Part(
        lambda: ScoreFunction(reparameterize=False), "score function for every site that is drawn"
    ),
    "score-cv": Part(
        ControlVariates, "score function of VI over parameters, a control variate for each of them"
    ),
}

# What `--estimators all` compares: each objective once, and each gradient on a bound it fits.
ALL: tuple[str, ...] = (
    *("elbo", "elbo-kl", "elbo:5", "elbo+stl", "iwae:5", "iwae:50", "iwae:5+stl", "iwae:5+dreg"),
    *("renyi:0.5:5", "vr-max:5", "miwae:5:5", "piwae:5:5", "ciwae:0.5:5", "tvo:5:5", "cubo:2:5"),
    *("tail:5", "rws:5", "rws:5+dreg", "sleep:5", "msc:5", "beta:4", "warm-up:0.3"),
    *("capacity:100:10", "free-bits:0.5", "constrained:10", "elbo:5+score-all", "Trace_ELBO"),
)
