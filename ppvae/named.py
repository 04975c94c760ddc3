"""Estimators by the names that people type."""

from __future__ import annotations

import difflib
import inspect
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyro.infer

from ppvae.estimators import ELBO, IWAE, Estimator, Renyi
from ppvae.own_file import run_file

__all__ = ["NAMES", "estimator_named", "name_of", "pyro_name"]

NAMES: dict[str, str] = {
    "elbo": "evidence lower bound; elbo:K averages K draws",
    "elbo-kl": "the same with KL in closed form where there is one; elbo-kl:K",
    "iwae": "importance-weighted bound of K draws; iwae:K (5 unless given)",
    "renyi": "variational Renyi bound; renyi:ALPHA:K (0.5 and 5 unless given)",
    "Trace_ELBO": "Pyro's own; Trace_ELBO:K",
    "TraceMeanField_ELBO": "Pyro's own; TraceMeanField_ELBO:K",
    "TraceGraph_ELBO": "Pyro's own; TraceGraph_ELBO:K",
    "TraceEnum_ELBO": "Pyro's own; TraceEnum_ELBO:K",
    "RenyiELBO": "Pyro's own; RenyiELBO:ALPHA:K (0 and 5 unless given)",
}


def estimator_named(name: str) -> pyro.infer.ELBO:
    """The estimator of a name such as ``elbo``, ``iwae:50`` or ``renyi:0.5:5``.

    A class of one's own is ``mine.py:MyBound``; it is made without arguments.

    Raises:
        ValueError: no such name, or a setting that the estimator refuses.
    """
    kind, *settings = name.split(":")
    if kind.endswith(".py"):
        return _own(name, Path(kind), settings)
    if kind not in NAMES:
        near = difflib.get_close_matches(kind, NAMES, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"estimator must be one of {', '.join(NAMES)} or mine.py:MyBound; got {name!r}.{hint}"
        )
    numbers = _numbers(name, settings, 2 if kind in ("renyi", "RenyiELBO") else 1)
    return _MAKERS[kind](*numbers)


def name_of(estimator: Any) -> str:
    """The name under which an estimator is recorded: short for those that can be typed."""
    if hasattr(estimator, "named"):
        return str(estimator.named)
    # By exact type: a class derived from one of these is another estimator.
    if type(estimator) is ELBO:
        stem = "elbo-kl" if estimator.analytic_kl else "elbo"
        return stem if estimator.num_particles == 1 else f"{stem}:{estimator.num_particles}"
    if type(estimator) is IWAE:
        return f"iwae:{estimator.num_particles}"
    if type(estimator) is Renyi:
        return f"renyi:{_exactly(estimator.alpha)}:{estimator.num_particles}"
    if isinstance(estimator, Estimator):
        return repr(estimator)
    kind = type(estimator).__name__
    if isinstance(estimator, pyro.infer.RenyiELBO):
        return f"{kind}:{_exactly(estimator.alpha)}:{estimator.num_particles}"
    particles = getattr(estimator, "num_particles", 1)
    return kind if particles == 1 else f"{kind}:{particles}"


def pyro_name(estimator: Any) -> str:
    """What computes the same bound in Pyro, with its settings; "-" if nothing does."""
    if type(estimator) is ELBO:
        kind = "TraceMeanField_ELBO" if estimator.analytic_kl else "Trace_ELBO"
        return f"{kind}({_k(estimator)})"
    if type(estimator) is IWAE:
        return f"RenyiELBO({_k(estimator, 'alpha=0')})"
    if isinstance(estimator, pyro.infer.RenyiELBO) or type(estimator) is Renyi:
        return f"RenyiELBO({_k(estimator, f'alpha={estimator.alpha:g}')})"
    if isinstance(estimator, Estimator):
        return "-"
    return f"{type(estimator).__name__}({_k(estimator)})"


def _exactly(alpha: float) -> str:
    """A number in the fewest digits that give it back."""
    short = f"{alpha:g}"
    return short if float(short) == alpha else repr(float(alpha))


def _k(estimator: Any, *settings: str) -> str:
    particles = getattr(estimator, "num_particles", 1)
    return ", ".join(settings if particles == 1 else [*settings, f"num_particles={particles}"])


def _vectorized(constructor: Callable[..., pyro.infer.ELBO]) -> Callable[..., pyro.infer.ELBO]:
    def make(num_particles: int = 1) -> pyro.infer.ELBO:
        return constructor(num_particles=num_particles, vectorize_particles=num_particles > 1)

    return make


def _pyro_renyi(alpha: float = 0.0, num_particles: int = 5) -> pyro.infer.ELBO:
    if alpha == 1 or not math.isfinite(alpha):
        raise ValueError(f"alpha must be finite and not 1, which is the ELBO; got {alpha:g}.")
    return pyro.infer.RenyiELBO(alpha, num_particles, vectorize_particles=True)


_MAKERS: dict[str, Callable[..., pyro.infer.ELBO]] = {
    "elbo": ELBO,
    "elbo-kl": lambda num_particles=1: ELBO(num_particles, analytic_kl=True),
    "iwae": lambda num_particles=5: IWAE(num_particles),
    "renyi": lambda alpha=0.5, num_particles=5: Renyi(alpha, num_particles),
    "RenyiELBO": _pyro_renyi,
    **{
        name: _vectorized(getattr(pyro.infer, name))
        for name in ("Trace_ELBO", "TraceMeanField_ELBO", "TraceGraph_ELBO", "TraceEnum_ELBO")
    },
}


def _numbers(name: str, settings: list[str], most: int) -> list[Any]:
    """Settings after the name: a whole number of draws last, alpha before it."""
    try:
        if len(settings) > most:
            raise ValueError
        numbers: list[Any] = [float(text) for text in settings[: most - 1]]
        numbers += [int(text) for text in settings[most - 1 :]]
    except ValueError as error:
        form = "NAME:ALPHA:K" if most == 2 else "NAME:K"
        raise ValueError(f"estimator must be written {form}; got {name!r}.") from error
    if len(numbers) == most and numbers[-1] < 1:
        raise ValueError(f"num_particles must be at least 1; got {numbers[-1]}.")
    return numbers


def _own(name: str, path: Path, settings: list[str]) -> pyro.infer.ELBO:
    module, _ = run_file(path)
    classes = {
        key: value
        for key, value in vars(module).items()
        if inspect.isclass(value)
        and issubclass(value, pyro.infer.ELBO)
        and value.__module__ == module.__name__
    }
    if len(settings) != 1 or settings[0] not in classes:
        raise ValueError(
            f"estimator must name a class of {path}, one of {sorted(classes)}; got {name!r}."
        )
    try:
        estimator: pyro.infer.ELBO = classes[settings[0]]()
    except TypeError as error:
        raise ValueError(
            f"estimator must be made without arguments; got {name!r}: {error}."
        ) from error
    estimator.named = f"{path.resolve()}:{settings[0]}"  # type: ignore[attr-defined]
    return estimator
