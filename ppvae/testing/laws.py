"""What every estimator must keep, each law on a problem whose answer is known."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import pyro
import torch
from torch import Tensor

from ppvae.draws import log_terms
from ppvae.estimators import Estimator
from ppvae.terms import LogTerms
from ppvae.testing.enumerated import expected_gradient
from ppvae.testing.problems import Problem, bits, labelled, layered, linear

__all__ = ["LAWS", "LawBroken"]

Law = Callable[[Estimator, int], str]
Maker = Callable[..., Problem]

_ROWS = 7
_EXACTLY = 1e-10


class LawBroken(AssertionError):
    """An estimator breaks a law; the message has the law, the problem and the numbers."""


def _served(estimator: Estimator, *makers: Maker) -> list[Maker]:
    """The problems that an estimator does not refuse."""
    return [make for make in makers if make is linear or _refusal(estimator, make) is None]


def _refusal(estimator: Estimator, make: Maker) -> str | None:
    try:
        estimator.surrogate(_own_terms(estimator, make(_ROWS)))
    except ValueError as error:
        return str(error)
    return None


def _labels(estimator: Estimator, draws: int) -> str:
    refusal = _refusal(estimator, labelled)
    return f"refused: {refusal}" if refusal else "an enumerated label is summed out"


def _per_datum(estimator: Estimator, draws: int) -> str:
    for make in _served(estimator, linear, layered, labelled):
        problem = make(_ROWS)
        bound = estimator.bound(_terms(estimator, problem))
        if bound.shape != (_ROWS,):
            raise LawBroken(f"bound must be (B,) = ({_ROWS},); got {tuple(bound.shape)}")
        if not bool(bound.isfinite().all()):
            raise LawBroken(f"bound must be finite on {problem.name}; got {bound.tolist()}")
    problem = linear(_ROWS)
    alone = estimator.bound(_terms(estimator, problem))
    moved = problem.x.clone()
    moved[1:] += 1.0
    other = estimator.bound(_terms(estimator, problem, moved))
    _equal(alone[:1], other[:1], "the bound of a datum must not depend on the other rows")
    return "(B,), and no row depends on another"


def _side(estimator: Estimator, draws: int) -> str:
    if estimator.bound_kind == "none":
        return "no bound is claimed"
    for make in _served(estimator, linear, layered, labelled):
        problem = make(draws)
        terms = _terms(estimator, problem)
        bound = estimator.bound(terms).detach()
        if estimator.bound_kind == "upper":
            estimate = terms.marginal.logsumexp(0) - math.log(terms.num_particles)
            if bool((bound < estimate - _EXACTLY).any()):
                raise LawBroken(
                    f"an upper bound must not lie below log mean w of the same draws on "
                    f"{problem.name}"
                )
            continue
        error = float(bound.std()) / math.sqrt(draws)
        above = float(bound.mean() - problem.log_evidence[0])
        if above > 5 * error + _EXACTLY:
            raise LawBroken(
                f"a lower bound must not exceed log p(x) in expectation; on {problem.name} it "
                f"lies {above:.4f} nats above it, {above / error:.1f} standard errors"
            )
    return {
        "lower": "its mean is not above log p(x) by 5 standard errors",
        "upper": "not below log mean w of the same draws, on any draw",
    }[estimator.bound_kind]


def _exact_posterior(estimator: Estimator, draws: int) -> str:
    if estimator.bound_kind == "none":
        return "no bound is claimed"
    for make in _served(estimator, linear, layered, labelled):
        problem = make(_ROWS, offset=0.0)
        bound = estimator.bound(_terms(estimator, problem)).detach()
        if estimator.bound_kind == "lower" and float(bound.std()) > _EXACTLY:
            return "not met: this bound has noise even at the exact posterior"
        _equal(
            bound,
            problem.log_evidence,
            f"with the exact posterior of {problem.name} the bound must be log p(x)",
        )
    return "log p(x) to 1e-10"


def _scale(estimator: Estimator, draws: int) -> str:
    size = 10 * _ROWS
    for make in _served(estimator, linear, labelled):
        problem = make(_ROWS)
        whole = estimator.bound(_terms(estimator, problem))
        part = estimator.bound(_terms(estimator, problem, size=size))
        _equal(whole, part, f"N/B must not enter the bound of a datum of {problem.name}")
        pyro.set_rng_seed(0)
        loss = estimator.loss(problem.model, problem.guide, problem.x, size)
        _equal(
            torch.tensor(loss, dtype=part.dtype),
            -10 * part.sum(),
            "the loss must be minus the N/B-scaled sum of the bound",
        )
    return "the bound is free of N/B, the loss is minus N/B times its sum"


def _gradient(estimator: Estimator, draws: int) -> str:
    instead = estimator.biased_for()
    if instead is not None:
        return f"not that of its bound, by its own word, but {instead}"
    worst = 0.0
    for make in _served(estimator, linear, layered, labelled):
        problem = make(draws)
        terms = _terms(estimator, problem)
        path = _gradients(problem, estimator.bound(terms))
        own = _gradients(problem, estimator.surrogate(_own_terms(estimator, problem)))
        for name in problem.parameters:
            paired = own[name] - path[name]
            error = paired.std(0) / math.sqrt(draws)
            away = (paired.mean(0).abs() - _EXACTLY).clamp(min=0) / error.clamp(min=_EXACTLY)
            worst = max(worst, float(away.max()))
            if float(away.max()) > 5:
                raise LawBroken(
                    f"the mean gradient must be that of the bound; on {problem.name}, parameter "
                    f"'{name}', it lies {float(away.max()):.1f} standard errors away"
                )
    return f"unbiased for its bound: at most {worst:.1f} of 5 standard errors away"


def _discrete(estimator: Estimator, draws: int) -> str:
    if estimator.biased_for() is not None:
        return "its gradient is not that of its bound, by its own word"
    try:
        own, exact = expected_gradient(estimator, bits)
    except ValueError as error:
        return f"refused: {error}"
    for name, gradient in exact.items():
        _equal(own[name], gradient, f"the expected gradient of '{name}' must be exact on two bits")
    return "summed over all draws, its gradient is exact to 1e-10"


def _still(estimator: Estimator, draws: int) -> str:
    problem, before = linear(_ROWS), copy.deepcopy(estimator.state_dict())
    with torch.no_grad():
        estimator.loss(problem.model, problem.guide, problem.x)
    after = estimator.state_dict()
    for name, value in before.items():
        if not torch.equal(value, after[name]) and not bool(value.isnan().all()):
            raise LawBroken(f"evaluation must leave the estimator as it is; it changed '{name}'")
    return "evaluation changes nothing in it"


def _terms(
    estimator: Estimator, problem: Problem, x: Tensor | None = None, size: int | None = None
) -> LogTerms:
    pyro.set_rng_seed(0)
    return log_terms(
        problem.model,
        problem.guide,
        (problem.x if x is None else x, size),
        num_particles=estimator.num_particles,
    )


def _own_terms(estimator: Estimator, problem: Problem) -> LogTerms:
    """The same draws, as the estimator itself makes its terms of them."""
    pyro.set_rng_seed(0)
    return estimator.terms(problem.model, problem.guide, problem.x, None)


def _gradients(problem: Problem, target: Tensor) -> dict[str, Tensor]:
    tensors = list(problem.parameters.values())
    found = torch.autograd.grad(target.sum(), tensors, retain_graph=True, allow_unused=True)
    return {
        name: torch.zeros_like(value) if gradient is None else gradient
        for (name, value), gradient in zip(problem.parameters.items(), found, strict=True)
    }


def _equal(found: Tensor, wanted: Tensor, law: str) -> None:
    away = float((found - wanted).detach().abs().max())
    if not away <= _EXACTLY:
        raise LawBroken(f"{law}; it is {away:.3g} away")


LAWS: dict[str, Law] = {
    "per datum": _per_datum,
    "side of log p(x)": _side,
    "exact posterior": _exact_posterior,
    "minibatch": _scale,
    "gradient": _gradient,
    "labels": _labels,
    "discrete latents": _discrete,
    "evaluation": _still,
}
