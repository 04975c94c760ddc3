"""Expectations over all draws of discrete sites, exactly: every K-tuple of draws is a row."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
from pyro import poutine
from torch import Tensor

from ppvae.draws import log_terms
from ppvae.estimators import Estimator
from ppvae.pair import Pair
from ppvae.testing.problems import Problem

__all__ = ["expected_gradient"]

_MOST_TUPLES = 5000


def expected_gradient(
    estimator: Estimator, make: Callable[[int], Problem]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The expected gradient that an estimator follows, and that of its expected bound.

    Args:
        estimator: whose K draws are all tuples in turn.
        make: a problem with two sites of one bit each, for a number of rows.

    Returns:
        Both gradients by parameter, each exact.

    Raises:
        ValueError: there are too many tuples of K draws, or the estimator refuses the problem.
    """
    num_particles = estimator.num_particles
    states = list(itertools.product([0.0, 1.0], repeat=2))
    if len(states) ** num_particles > _MOST_TUPLES:
        raise ValueError(
            f"num_particles must be small enough to sum over all draws; got {num_particles}."
        )
    tuples = torch.tensor(list(itertools.product(states, repeat=num_particles)))
    problem = make(len(tuples))
    guide = _given(problem, dict(zip(("b1", "b2"), tuples.unbind(-1), strict=True)))
    # The draws that are given are of all K at once.
    Pair(problem.model, guide).scope.vectorized = True
    terms = log_terms(problem.model, guide, problem.x, num_particles=num_particles)
    chance = terms.log_posterior.sum(0).exp()
    followed = (chance.detach() * estimator.surrogate(terms)).sum()
    expected_bound = (chance * estimator.bound(terms)).sum()
    return _summed(problem, followed), _summed(problem, expected_bound)


def _given(problem: Problem, values: dict[str, Tensor]) -> Callable[..., object]:
    """The guide, whose draws are given: values by site, (R, K)."""
    draws = poutine.Trace()
    for name, value in values.items():
        drawn = value.T if value.shape[1] > 1 else value[:, 0]
        draws.add_node(
            name, name=name, type="sample", value=drawn.to(problem.x), is_observed=False, infer={}
        )
    return poutine.replay(problem.guide, trace=draws)


def _summed(problem: Problem, target: Tensor) -> dict[str, Tensor]:
    """The gradient summed over rows, by parameter."""
    tensors = list(problem.parameters.values())
    found = torch.autograd.grad(target, tensors, retain_graph=True, allow_unused=True)
    return {
        name: torch.zeros_like(value[0]) if gradient is None else gradient.sum(0)
        for (name, value), gradient in zip(problem.parameters.items(), found, strict=True)
    }
