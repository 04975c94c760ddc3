"""An experiment: a pair, an estimator and settings, made by a function in a file."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import inspect
import pkgutil
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pyro
import pyro.infer
from torch import Tensor

from ppvae.data import Data, Source
from ppvae.estimators import ELBO
from ppvae.generators import generators_put_back
from ppvae.own_file import run_file
from ppvae.scope import Program

__all__ = ["Experiment", "Option", "Recipe", "build", "built_in", "find_recipe"]

DIGITS = Source("digits")


@dataclass(frozen=True)
class Experiment:
    """A pair with what it takes to train it.

    Args:
        model: p, a Pyro program.
        guide: q, a Pyro program with the same latent sites.
        estimator: what is optimised and reported; the plain ELBO unless told otherwise.
        epochs: passes over the training data.
        lr: learning rate of Adam.
        batch_size: rows in a step.
        clip_norm: the largest norm that the gradient of a step may have; None for no limit.
        labelled_per_batch: how many rows of a step have a label: drawn with replacement, classes in
            turn, beside rows without one; None takes all rows alike.
        log_evidence: the exact log p(x) under the model, from x (B, P) to (B,) nats, if known.
        elbo: the exact E_q[log p(x, z) - log q(z|x)], likewise, differentiable in the parameters
            of the pair.
        cross_entropy: the exact -E_p[log q(z|x)] under p(z|x), likewise: the inclusive
            KL(p(z|x) || q(z|x)) up to what does not depend on the guide.
        recipe: the function this came from; set by :func:`build`.
    """

    model: Program
    guide: Program
    estimator: pyro.infer.ELBO = field(default_factory=ELBO)
    epochs: int = 20
    lr: float = 1e-3
    batch_size: int = 128
    clip_norm: float | None = None
    log_evidence: Callable[[Tensor], Tensor] | None = None
    elbo: Callable[[Tensor], Tensor] | None = None
    cross_entropy: Callable[[Tensor], Tensor] | None = None
    labelled_per_batch: int | None = None
    recipe: Recipe | None = None


@dataclass(frozen=True)
class Option:
    """An option of an experiment: a parameter of its function."""

    name: str
    kind: type
    default: Any
    help: str


@dataclass(frozen=True)
class Recipe:
    """An experiment's function and where it was found.

    Attributes:
        name: the function's name, with dashes.
        function: from data and options to an :class:`Experiment`.
        path: the file, or None for a built-in one.
        sha256: of the file's text, in hex.
        data: what the experiment is run on unless told otherwise (``DATA`` in its file).
        estimators: names of those that are put side by side unless told otherwise
            (``ESTIMATORS`` in its file); empty where the usual ones will do.
        options: what was chosen, by name.
    """

    name: str
    function: Callable[..., Experiment] = field(repr=False, compare=False)
    path: str | None
    sha256: str
    data: Source = DIGITS
    estimators: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """The first line of the function's docstring."""
        return (inspect.getdoc(self.function) or "").split("\n", 1)[0]

    @property
    def schema(self) -> dict[str, Option]:
        """The options that the function takes, from its signature and docstring.

        Raises:
            TypeError: an option has no default, or is not an int, float, bool or str.
        """
        hints = typing.get_type_hints(self.function)
        helps = _argument_helps(inspect.getdoc(self.function) or "")
        found = {}
        for parameter in list(inspect.signature(self.function).parameters.values())[1:]:
            kind = hints.get(parameter.name, type(parameter.default))
            if parameter.default is parameter.empty or kind not in (int, float, bool, str):
                raise TypeError(
                    f"options of experiment '{self.name}' must be an int, float, bool or str "
                    f"with a default; got {parameter}."
                )
            text = helps.get(parameter.name, "")
            found[parameter.name] = Option(parameter.name, kind, parameter.default, text)
        return found

    @property
    def source_text(self) -> str:
        """The file's text."""
        return Path(inspect.getfile(self.function)).read_text(encoding="utf-8")


def built_in() -> list[str]:
    """The names of the built-in experiments."""
    package = importlib.import_module("ppvae.examples")
    return sorted(
        module.name.replace("_", "-") for module in pkgutil.iter_modules(package.__path__)
    )


def find_recipe(name: str) -> Recipe:
    """The experiment of a built-in name, of a file ``my_pair.py``, or of ``my_pair.py:name``.

    A file is run as Python to find its experiments, the functions annotated ``-> Experiment``.

    Raises:
        ValueError: no such experiment, a file that cannot be run, or several experiments in it.
    """
    path, _, wanted = name.partition(":")
    if path.endswith(".py"):
        module, text = run_file(Path(path))
        where = str(Path(path).resolve())
    elif name.replace("_", "-") in built_in():
        wanted = name.replace("-", "_")
        module = importlib.import_module(f"ppvae.examples.{wanted}")
        text = inspect.getsource(module)
        where = None
    else:
        near = difflib.get_close_matches(name, built_in(), n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"experiment must be one of {', '.join(built_in())} or a file my_pair.py; "
            f"got {name!r}.{hint}"
        )
    function = _only_experiment(module, path, wanted.replace("-", "_"))
    return Recipe(
        name=function.__name__.replace("_", "-"),
        function=function,
        path=where,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        data=getattr(module, "DATA", DIGITS),
        estimators=tuple(getattr(module, "ESTIMATORS", ())),
    )


def build(recipe: Recipe, data: Data, *, seed: int = 0, **options: Any) -> Experiment:
    """The experiment on these data, its weights drawn from the seed.

    Args:
        recipe: what :func:`find_recipe` found.
        data: what it is to be trained on.
        seed: equal seeds give equal initial weights.
        options: of the experiment, by name.

    Raises:
        ValueError: an option that the experiment does not have.
        TypeError: the function returns no Experiment.
    """
    unknown = sorted(set(options) - set(recipe.schema))
    if unknown:
        raise ValueError(
            f"options of experiment '{recipe.name}' are {sorted(recipe.schema)}; "
            f"got {unknown[0]!r}."
        )
    with generators_put_back():
        pyro.set_rng_seed(seed)
        experiment = recipe.function(data, **options)
    if not isinstance(experiment, Experiment):
        raise TypeError(
            f"experiment '{recipe.name}' must return an Experiment; "
            f"got {type(experiment).__name__}."
        )
    chosen = {name: options.get(name, option.default) for name, option in recipe.schema.items()}
    return replace(experiment, recipe=replace(recipe, options=chosen))


def _only_experiment(module: ModuleType, path: str, wanted: str) -> Callable[..., Experiment]:
    annotations = (Experiment, "Experiment", "ppvae.Experiment")
    found = {
        name: function
        for name, function in vars(module).items()
        if inspect.isfunction(function)
        and function.__module__ == module.__name__
        and inspect.signature(function).return_annotation in annotations
    }
    if wanted and wanted not in found:
        raise ValueError(f"{path} must have experiment {wanted!r}; it has {sorted(found)}.")
    if not wanted and len(found) != 1:
        example = f"{path}:{sorted(found)[0]}" if found else "def pair(data) -> Experiment"
        raise ValueError(
            f"{path} must have one experiment, or one must be named; it has {sorted(found)} "
            f"(write {example})."
        )
    return found[wanted] if wanted else next(iter(found.values()))


def _argument_helps(docstring: str) -> dict[str, str]:
    """The texts under "Args:" by name."""
    helps: dict[str, str] = {}
    inside, last = False, ""
    for line in docstring.splitlines():
        if line.strip() == "Args:":
            inside = True
        elif inside and line.strip() and not line.startswith(" "):
            inside = False
        elif inside and line.startswith("    ") and not line.startswith("     "):
            last, _, text = line.strip().partition(": ")
            helps[last] = text
        elif inside and last and line.strip():
            helps[last] += " " + line.strip()
    return helps
