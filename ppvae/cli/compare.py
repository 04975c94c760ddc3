"""`ppvae compare`: one pair under many estimators, and which lies above which."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppvae.cli.data_options import add_data_options, data_of
from ppvae.cli.folders import free_folder
from ppvae.cli.kinds import Listed, seed, whole
from ppvae.cli.opening import announce, names_or_vae
from ppvae.cli.outline import usual_estimators
from ppvae.cli.parser import Verb
from ppvae.cli.training_options import add_training_options
from ppvae.cli.vary import variants, varied

if TYPE_CHECKING:
    from ppvae.data import Data, Source

__all__ = ["COMPARE", "ESTIMATORS", "SEVERAL"]

# The default of ppvae.compare by name, so that help and the first line need not import it.
ESTIMATORS = ("Trace_ELBO", "TraceMeanField_ELBO", "elbo:5", "renyi:0.5:5", "iwae:5", "iwae:50")
# Of several experiments.
SEVERAL = ("elbo",)
_ALL = "all"
_SEEDS = (0, 1, 2, 3, 4)
_QUICK_SEEDS = 2
_PASSED_ON = (
    *("epochs", "steps", "batch_size", "lr", "clip_norm", "threads", "compile", "num_particles"),
)


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_data_options(parser)
    group = parser.add_argument_group("comparison")
    group.add_argument(
        "--estimators",
        action=Listed,
        metavar="NAME",
        help="names of `ppvae list`, or mine.py:MyBound; the first is what the others are compared "
        "with; all: every one that takes the experiment, after those named "
        f"(default: {' '.join(ESTIMATORS)}, of several experiments {' '.join(SEVERAL)}, or the "
        "experiment's own ESTIMATORS)",
    )
    group.add_argument(
        "--seeds",
        action=Listed,
        kind=seed,
        metavar="N",
        help=f"of weights, order and draws (default: {' '.join(map(str, _SEEDS))})",
    )
    group.add_argument(
        "--num-particles",
        type=whole,
        metavar="K",
        help="draws per test row for log p(x), the same for all (default: 1000)",
    )
    group.add_argument(
        "--vary",
        type=varied,
        metavar="OPTION=VALUE,VALUE",
        help="an option of the experiment, which is compared with itself at each of the values",
    )
    group = parser.add_argument_group("training (defaults: the experiment's own)")
    add_training_options(group)
    _add_result_options(parser.add_argument_group("results"))


def _add_result_options(group: argparse._ActionsContainer) -> None:
    group.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="for table, numbers and pictures (default: runs/compare-EXPERIMENT-DATA)",
    )
    group.add_argument(
        "--quick",
        action="store_true",
        help=f"{_QUICK_SEEDS} seeds and 200 steps unless told otherwise, and 100 draws",
    )


def _run(arguments: argparse.Namespace) -> int:
    names = names_or_vae(arguments.words)
    several = len(names) > 1 or arguments.vary is not None
    usual = SEVERAL if several else ESTIMATORS
    estimators = arguments.estimators or usual_estimators(names, usual)
    seeds = arguments.seeds or (_SEEDS[:_QUICK_SEEDS] if arguments.quick else _SEEDS)
    every = "every estimator" if _ALL in estimators else _counted(len(estimators), "estimator")
    announce("compare", names, arguments, every, _counted(len(seeds), "seed"))
    from ppvae.cli.look import first_look
    from ppvae.compare import compare
    from ppvae.experiment import find_recipe

    found = {name: find_recipe(name) for name in names}
    recipes = variants(COMPARE, found, arguments.rest, arguments.vary)
    bounds, optional = _estimators(estimators)
    loaded: dict[Source, Data] = {}
    data = [data_of(arguments, recipe, loaded) for recipe in recipes]
    for recipe, rows in zip(recipes, data, strict=True):
        # Before a folder is made for what will not be run.
        first_look(recipe, rows, seed=seeds[0], **recipe.options).raise_if_wrong()
    of = "-".join(
        [*(recipe.name for recipe in found.values()), *dict.fromkeys(d.name for d in data)]
    )
    folder = arguments.out or free_folder(f"compare-{of}")
    given: dict[str, Any] = {name: getattr(arguments, name) for name in _PASSED_ON}
    with _nothing_if_stopped(folder):
        comparison = compare(
            recipes,
            data,
            estimators=bounds,
            optional=optional,
            seeds=seeds,
            device=arguments.device,
            folder=folder,
            quick=arguments.quick,
            command=arguments.command,
            **{name: value for name, value in given.items() if value is not None},
        )
    print(f"\nkept in {folder}, to be read in report.html\n\n{str(comparison).rstrip()}")
    return 0


def _estimators(names: Sequence[str]) -> tuple[list[Any], list[Any]]:
    """Those that are named, and those that "all" stands for besides."""
    from ppvae.named import ALL, estimator_named, name_of

    named = [estimator_named(name) for name in names if name != _ALL]
    taken = {name_of(estimator) for estimator in named}
    every = [estimator_named(name) for name in ALL] if _ALL in names else []
    return named, [estimator for estimator in every if name_of(estimator) not in taken]


@contextlib.contextmanager
def _nothing_if_stopped(folder: Path) -> Iterator[None]:
    """Without a result leave no folder, unless it was there."""
    was_there = folder.exists()
    try:
        yield
    except BaseException as stop:
        if not was_there:
            # Only an empty folder can be removed so.
            with contextlib.suppress(OSError):
                folder.rmdir()
        if isinstance(stop, KeyboardInterrupt):
            text = "stopped; a comparison is kept only at its end."
            raise KeyboardInterrupt(text) from None
        raise


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}"


COMPARE = Verb(
    name="compare",
    summary="compare ELBO estimators on a pair, at equal steps and at equal seconds",
    usage="[EXPERIMENT...]",
    description=(
        "Train experiments from the same weights under several estimators, and judge all by "
        "the same measure, log p(x) of held-out rows, at equal steps and at equal seconds."
    ),
    add_options=_add_options,
    run=_run,
    takes_experiment=True,
)
