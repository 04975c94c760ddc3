"""What a comparison will run: each experiment under each estimator."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyro.infer

from ppvae.data import Batching, Data
from ppvae.estimators import ELBO, IWAE, Renyi
from ppvae.experiment import Experiment, Recipe, build
from ppvae.named import estimator_named, name_of

__all__ = ["Entry", "Length", "Maker", "default_estimators", "entries"]

Maker = Recipe | Callable[[Data], Experiment]


@dataclass(frozen=True)
class Entry:
    """One line of the table.

    Attributes:
        label: the estimator's name, after the experiment's where there are several.
        recipe: makes the experiment.
        data: what it is trained and judged on.
        estimator: what is optimised; each run has a copy of its own.
        optional: whether it is left out where the estimator refuses the pair.
    """

    label: str
    recipe: Recipe
    data: Data
    estimator: pyro.infer.ELBO
    optional: bool = False

    def build(self, seed: int) -> Experiment:
        """The experiment with the initial weights of a seed, whatever the estimator."""
        experiment = build(self.recipe, self.data, seed=seed, **self.recipe.options)
        return replace(experiment, estimator=copy.deepcopy(self.estimator))


@dataclass(frozen=True)
class Length:
    """How long a run of an entry is, and how often it is looked at.

    Attributes:
        steps: in all.
        epochs: passes over the training rows, the last one perhaps in part.
        looks: the epochs after which the held-out curve has a point, 0 and the last among them.
    """

    steps: int
    epochs: int
    looks: frozenset[int]

    @classmethod
    def of(cls, entry: Entry, seed: int, asked: Mapping[str, Any], points: int) -> Length:
        """The length of an entry's runs, as asked for or else as the experiment has it.

        Args:
            entry: of the table.
            seed: of the experiment that is looked at; its length should not depend on it.
            asked: epochs, steps and batch_size, each None where the experiment decides.
            points: of the curve.
        """
        experiment = entry.build(seed)
        batch_size = asked["batch_size"] or experiment.batch_size
        per_epoch = Batching(entry.data.train, batch_size, experiment.labelled_per_batch).steps
        steps = asked["steps"] or (asked["epochs"] or experiment.epochs) * per_epoch
        epochs = math.ceil(steps / per_epoch)
        # Dense at the beginning, which is all that a slow estimator reaches in equal seconds,
        # and is so steep that a straight line between far points would lie below the curve.
        spread = {math.ceil(epochs * (each / points) ** 2) for each in range(points + 1)}
        return cls(steps, epochs, frozenset(spread | {round(0.9 * epochs)}))


def default_estimators() -> list[pyro.infer.ELBO]:
    """Pyro's two plain ones first, then ours."""
    return [
        pyro.infer.Trace_ELBO(),
        pyro.infer.TraceMeanField_ELBO(),
        ELBO(5),
        Renyi(0.5, 5),
        IWAE(5),
        IWAE(50),
    ]


def entries(
    makers: Maker | Sequence[Maker],
    data: Data | Sequence[Data],
    estimators: Sequence[pyro.infer.ELBO] | None,
    optional: Sequence[pyro.infer.ELBO] = (),
) -> list[Entry]:
    """Every experiment under every estimator, the optional ones last.

    Raises:
        ValueError: there is none, two are the same, or there are not as many data as experiments.
        TypeError: an estimator is not a ``pyro.infer.ELBO``.
    """
    recipes = [_recipe(m) for m in (makers if isinstance(makers, Sequence) else [makers])]
    required = _usual(recipes) if estimators is None else list(estimators)
    chosen = [*required, *optional]
    rows = list(data) if isinstance(data, Sequence) else [data] * len(recipes)
    if not chosen or not recipes:
        raise ValueError("compare needs at least one experiment and one estimator; got none.")
    if len(rows) != len(recipes):
        raise ValueError(
            f"data must be one, or one for each of {len(recipes)} experiments; got {len(rows)}."
        )
    for each in chosen:
        if not isinstance(each, pyro.infer.ELBO):
            raise TypeError(f"estimators must be ELBOs; got {type(each).__name__}.")
    found = [
        Entry(_label(recipe, each, len(recipes) > 1), recipe, rows_of_it, each, i >= len(required))
        for recipe, rows_of_it in zip(recipes, rows, strict=True)
        for i, each in enumerate(chosen)
    ]
    labels = [each.label for each in found]
    for label in labels:
        if labels.count(label) > 1:
            raise ValueError(f"experiments and estimators must differ; got {label!r} twice.")
    return found


def _usual(recipes: Sequence[Recipe]) -> list[pyro.infer.ELBO]:
    """The estimators of the first experiment that asks for some, or the default ones.

    Of several pairs one would see which lies above which: the plain ELBO of each is enough.
    """
    names = next((recipe.estimators for recipe in recipes if recipe.estimators), ())
    if names:
        return [estimator_named(name) for name in names]
    return default_estimators() if len(recipes) == 1 else [ELBO()]


def _recipe(maker: Maker) -> Recipe:
    if isinstance(maker, Recipe):
        return maker
    return Recipe(maker.__name__.replace("_", "-"), maker, path=None, sha256="")


def _label(recipe: Recipe, estimator: pyro.infer.ELBO, several: bool) -> str:
    return f"{recipe.name} {name_of(estimator)}" if several else name_of(estimator)
