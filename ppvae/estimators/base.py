"""What every estimator is: a bound per datum, the loss that reports it, the gradient it follows."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Literal

import pyro.infer
import torch
from pyro.infer.enum import get_importance_trace
from torch import Tensor, nn

from ppvae.draws import drawn_terms
from ppvae.pair import Batch, Pair
from ppvae.schedules import Schedule
from ppvae.scope import Program
from ppvae.terms import LogTerms

__all__ = ["BoundKind", "Estimator"]

BoundKind = Literal["lower", "upper", "none"]


class Estimator(pyro.infer.ELBO, nn.Module):
    """A bound on log p(x) per datum, and the gradient that is followed to raise it.

    It serves ``pyro.infer.SVI`` and ``ppvae.SVI`` as ``loss=``, and ``estimator(model, guide)(x)``
    is a loss for ``torch.optim``. The loss is minus the N/B-scaled sum of the bound, as Pyro's.

    One's own estimator gives ``bound_kind`` and ``bound``; it gives ``surrogate`` too where the
    gradient it follows is not the gradient of its bound. What it learns, it learns in ``observe``.

    Args:
        num_particles: K, draws from the guide per datum, at least 1.

    Attributes:
        bound_kind: whether the bound's expectation lies below log p(x) ("lower"), above it
            ("upper") or on no certain side ("none").

    Raises:
        ValueError: num_particles is below 1.
    """

    bound_kind: BoundKind = "none"

    def __init__(self, num_particles: int = 1) -> None:
        nn.Module.__init__(self)
        if num_particles < 1:
            raise ValueError(f"num_particles must be at least 1; got {num_particles}.")
        pyro.infer.ELBO.__init__(self, num_particles=num_particles, vectorize_particles=True)

    @abstractmethod
    def bound(self, terms: LogTerms) -> Tensor:
        """The bound in nats, (B,)."""

    def surrogate(self, terms: LogTerms) -> Tensor:
        """What is differentiated, (B,): the bound, unless an estimator says otherwise.

        Its gradient is followed upwards; its value does not matter.
        """
        refuse_scored(self, terms)
        return self.bound(terms)

    def observe(self, terms: LogTerms) -> None:
        """Learn from a training step: called once for each, without gradients.

        A training step is a loss that is computed with gradients enabled while the estimator is
        in training mode, as for batch norm; evaluation leaves everything as it is.
        """
        for schedule in self.schedules:
            schedule.advance()

    def begin(self, steps: int) -> None:
        """Take in how many steps the run has: for schedules that are a fraction of it."""
        for schedule in self.schedules:
            schedule.begin(steps)

    def prepare(self, pair: Pair, batch: Batch, num_rows: int) -> None:
        """Make room for what has the shape of sites or data: called once, before a run.

        Args:
            pair: model and guide.
            batch: rows like those of the run.
            num_rows: N; the field "index" of the data stays below it.
        """

    def unfinished(self) -> str | None:
        """What a run that has ended says of a schedule that has not; None if there is none."""
        said = [schedule.unfinished() for schedule in self.schedules]
        return next((text for text in said if text), None)

    def target(self, role: str) -> str:
        """What the gradient of a program's parameters is meant to be that of, in a few words.

        Equal words mean the same gradient, up to ``biased_for``; "ELBO", "log p(x)" and
        "inclusive KL" (lowered, not raised) are those that :func:`ppvae.gradients` knows exactly
        where an experiment does.

        Args:
            role: "model" or "guide".
        """
        return f"own: {type(self).__name__}({self.extra_repr() or self.num_particles})"

    def biased_for(self) -> str | None:
        """What its mean gradient is that of, in words, if not of its bound; None if it is."""
        return None

    def figures(self) -> dict[str, Tensor]:
        """Numbers that change while training, by name, each (): a run's history holds them."""
        return {}

    @property
    def schedules(self) -> list[Schedule]:
        """The schedules in this estimator."""
        return [module for module in self.modules() if isinstance(module, Schedule)]

    @property
    def follows_its_bound(self) -> bool:
        """Whether the gradient is that of the reported number itself."""
        return type(self).surrogate is Estimator.surrogate

    def terms(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> LogTerms:
        """The log-terms of this estimator's K draws.

        Args:
            model: p, a Pyro program.
            guide: q, a Pyro program.
            args: what both are called with.
            kwargs: named fields, of which each program receives those it asks for.
        """
        return drawn_terms(Pair(model, guide), (args, kwargs), self.num_particles)

    def differentiable_loss(
        self, model: Program, guide: Program, *args: Any, **kwargs: Any
    ) -> Tensor:
        """Minus the N/B-scaled sum of the bound in nats, (), with the surrogate's gradient."""
        terms = self.terms(model, guide, *args, **kwargs)
        target = self.surrogate(terms)
        # An estimator that follows its bound has just computed it.
        bound = target if self.follows_its_bound else self.bound(terms)
        target = target + terms.expected(terms.auxiliary).mean(0)
        if self.training and torch.is_grad_enabled():
            with torch.no_grad():
                self.observe(terms)
        return -terms.scale * (bound.detach() + (target - target.detach())).sum()

    def loss(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> float:
        """Minus the N/B-scaled sum of the bound in nats, as Pyro's SVI asks for it."""
        terms = self.terms(model, guide, *args, **kwargs)
        return float(-terms.scale * self.bound(terms).detach().sum())

    def loss_and_grads(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> float:
        """The loss, with its gradient added to the parameters, as Pyro's SVI asks for it."""
        loss = self.differentiable_loss(model, guide, *args, **kwargs)
        if loss.requires_grad:
            loss.backward()
        return loss.item()

    def _get_trace(self, model: Any, guide: Any, args: Any, kwargs: Any) -> Any:
        return get_importance_trace("flat", self.max_plate_nesting, model, guide, args, kwargs)


def refuse_scored(estimator: Estimator, terms: LogTerms) -> None:
    """Refuse sites whose gradient the reparameterized estimators would silently leave out."""
    if terms.scored:
        # Only where an estimator takes a gradient of another kind is that a way out.
        scores = ", or a gradient that scores the others (ScoreFunction, VIMCO)"
        raise ValueError(
            f"{type(estimator).__name__} needs reparameterized or enumerated sites"
            f"{scores if hasattr(estimator, 'gradient') else ''}; got {terms.scored[0]!r} "
            "(a discrete one is enumerated if marked infer={'enumerate': 'parallel'})."
        )


def share_of_global(terms: LogTerms) -> Tensor | float:
    """What the latent sites outside of the data plate add to each datum's ELBO, () nats."""
    if not terms.has_global:
        return 0.0
    return terms.global_weight.mean() / (terms.scale * terms.batch_size)


def weights_of_draws(estimator: Estimator, terms: LogTerms) -> Tensor:
    """Log w for a K-sample bound, (K, B), or (K, 1) where a draw is one of all data together.

    Raises:
        ValueError: a latent site outside of the data plate meets subsampled data, or a
            ``poutine.scale`` lies on a site, for which no K-sample bound is known.
    """
    name = type(estimator).__name__
    if terms.rescaled:
        raise ValueError(
            f"{name} needs log-densities as they are; got a poutine.scale on {terms.rescaled[0]!r}."
        )
    if not terms.has_global:
        return terms.marginal
    if terms.scale != 1:
        raise ValueError(
            f"{name} needs all data at once for a latent site outside of the data plate; "
            f"got 1 row in {terms.scale:g}."
        )
    return (terms.marginal.sum(1) + terms.global_weight)[:, None]


def per_datum(bound: Tensor, terms: LogTerms) -> Tensor:
    """A bound on one datum each, (B,), or on all data together spread evenly, (B,)."""
    if len(bound) == terms.batch_size:
        return bound
    return (bound / terms.batch_size).expand(terms.batch_size)
