"""The direct part of a gradient told apart from the path through the draws."""

from __future__ import annotations

import torch
from torch import Tensor

from ppvae.estimators.base import refuse_scored
from ppvae.estimators.gradient import BoundOfWeights, Gradient
from ppvae.terms import LogTerms

__all__ = ["at_fixed_draws", "change", "refuse_other_paths"]


def change(term: Tensor) -> Tensor:
    """Zero, with the gradient of the term."""
    # An impossible label has log-density -inf, and no gradient.
    return torch.where(term.isneginf(), 0.0, term - term.detach())


def at_fixed_draws(gradient: Gradient, terms: LogTerms) -> LogTerms:
    """The terms of both programs at the same draws, detached.

    Raises:
        ValueError: the guide's density cannot be evaluated at a given draw.
    """
    try:
        return terms.fixed
    except ValueError as error:
        name = type(gradient).__name__
        raise ValueError(f"{name} scores the guide at its draws again: {error}") from error


def refuse_other_paths(gradient: Gradient, estimator: BoundOfWeights, terms: LogTerms) -> None:
    """Refuse draws whose score has an expectation other than zero that nobody makes up for.

    Raises:
        ValueError: a site is neither reparameterized nor enumerated; or labels stand inside of the
            weight and a draw depends on them: then each label has draws and a weight of its own.
    """
    refuse_scored(estimator, terms)
    if estimator.expected:
        return
    for name, term in terms.posterior.items():
        if name not in terms.enumerated and term.dim() > 2:
            raise ValueError(
                f"{type(gradient).__name__} needs draws that do not depend on the labels inside "
                f"of the weight; got {name!r} (expected=True sums the labels outside of it)."
            )
