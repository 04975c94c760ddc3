"""`ppvae gradients`: gradient estimators side by side at fixed parameters."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ppvae.cli.data_options import add_data_options, data_of
from ppvae.cli.folders import free_folder
from ppvae.cli.kinds import Listed, at_least_one, one_of, seed, text, whole
from ppvae.cli.opening import announce, only_one
from ppvae.cli.outline import usual_estimators
from ppvae.cli.own_options import own_options
from ppvae.cli.parser import Verb
from ppvae.cli.training_options import COMPILE

if TYPE_CHECKING:
    from ppvae.data import Data
    from ppvae.experiment import Experiment
    from ppvae.run import Run

__all__ = ["GRADIENTS"]

ESTIMATORS = ("elbo", "elbo+stl", "iwae:5", "iwae:5+dreg", "iwae:50", "iwae:50+dreg")
_ROWS = 100
_DRAWS, _QUICK_DRAWS = 1000, 100


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_data_options(parser)
    group = parser.add_argument_group("bench")
    group.add_argument(
        "--estimators",
        action=Listed,
        metavar="NAME",
        help="names of `ppvae list`, or mine.py:MyBound "
        f"(default: {' '.join(ESTIMATORS)}, or the experiment's own ESTIMATORS)",
    )
    group.add_argument(
        "--num-draws",
        type=whole,
        metavar="N",
        help=f"gradients of each estimator (default: {_DRAWS})",
    )
    group.add_argument(
        "--rows",
        type=at_least_one,
        default=_ROWS,
        metavar="B",
        help=f"training rows in the batch, the first ones (default: {_ROWS}, or all)",
    )
    group.add_argument(
        "--groups",
        action=Listed,
        metavar="NAME=PATTERN",
        help="blocks beside model and guide: bias=guide.*.bias; a name may come again",
    )
    group.add_argument(
        "--run",
        type=Path,
        metavar="FOLDER",
        help="take pair, data and trained parameters from a run, instead of an experiment",
    )
    _add_circumstances(group)


def _add_circumstances(group: argparse._ActionsContainer) -> None:
    """Add the options that have little to do with the question."""
    group.add_argument("--seed", type=seed, default=0, metavar="N", help="default: 0")
    group.add_argument(
        "--device",
        type=text,
        default="auto",
        help="auto (a GPU if there is one), cpu, cuda or cuda:1 (default: auto)",
    )
    group.add_argument("--threads", type=at_least_one, default=1, metavar="N", help="default: 1")
    group.add_argument(
        "--compile",
        type=one_of(COMPILE),
        default="auto",
        metavar="HOW",
        help="how single gradients are drawn: auto (default), replay, inductor or off, as in fit; "
        "replay and inductor are timed as well, else it is Python that is",
    )
    group.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="for report, table, numbers and pictures (default: runs/gradients-EXPERIMENT-DATA)",
    )
    group.add_argument(
        "--quick", action="store_true", help=f"{_QUICK_DRAWS} gradients unless told otherwise"
    )


def _run(arguments: argparse.Namespace) -> int:
    names = arguments.estimators or usual_estimators(arguments.words, ESTIMATORS)
    default = _QUICK_DRAWS if arguments.quick else _DRAWS
    draws = default if arguments.num_draws is None else arguments.num_draws
    _announce(arguments)
    from ppvae.named import estimator_named

    estimators = [estimator_named(name) for name in names]
    groups = _groups(arguments.groups or [])
    source, data, label, what = _from_run(arguments) if arguments.run else _built(arguments)
    from ppvae.bench import gradients
    from ppvae.bench.report import save
    from ppvae.bench.table import as_text
    from ppvae.bench.verdict import verdict
    from ppvae.threads import cpu_threads

    fields = data.epoch(0, arguments.seed)
    batch = {name: values[: arguments.rows] for name, values in fields.items()}
    with cpu_threads(arguments.threads):
        found = gradients(
            source,
            batch,
            estimators,
            draws,
            groups=groups,
            seed=arguments.seed,
            compile=arguments.compile,
        )
    folder = arguments.out or free_folder(f"gradients-{label}")
    folder.mkdir(parents=True, exist_ok=True)
    rows = f"{what}, {len(batch['x'])} training rows"
    save(found, folder, what=rows, command=arguments.command)
    print(f"{rows}\n\n{as_text(found, verdict(found)).rstrip()}\n\nkept in {folder}")
    return 0


def _announce(arguments: argparse.Namespace) -> None:
    """Print the first line, before anything heavy is imported."""
    if not arguments.run:
        announce("gradients", [only_one(arguments.words)], arguments)
        return
    if arguments.words or arguments.rest:
        got = [*arguments.words, *arguments.rest][0]
        raise ValueError(f"--run must stand without an experiment and its options; got {got!r}.")
    print(f"ppvae gradients: {arguments.run} ...", flush=True)


def _built(arguments: argparse.Namespace) -> tuple[Experiment, Data, str, str]:
    """An experiment at its initial parameters."""
    name = only_one(arguments.words)
    from ppvae.cli.look import first_look
    from ppvae.experiment import build, find_recipe
    from ppvae.pair import Pair
    from ppvae.prepare import resolve_device

    recipe = find_recipe(name)
    options = own_options(GRADIENTS, {name: recipe}, arguments.rest)
    device = resolve_device(arguments.device)
    data = data_of(arguments, recipe)
    first_look(recipe, data, seed=arguments.seed, **options).raise_if_wrong()
    experiment = build(recipe, data, seed=arguments.seed, **options)
    pair = Pair(experiment.model, experiment.guide)
    pair.to(device)
    data = data.to(device, next((leaf.dtype for leaf in pair.leaves.values()), None))
    said = "".join(f", {key} {value:g}" for key, value in options.items())
    return experiment, data, f"{recipe.name}-{data.name}", f"{recipe.name} on {data.name}{said}"


def _from_run(arguments: argparse.Namespace) -> tuple[Run, Data, str, str]:
    """A run at its trained parameters."""
    from ppvae.runs import load_run

    run = load_run(arguments.run, data_dir=arguments.data_dir, device=arguments.device)
    return run, run.data, Path(arguments.run).name, f"the run {arguments.run}"


def _groups(words: list[str]) -> dict[str, list[str]]:
    """Patterns by the name of their group."""
    found: dict[str, list[str]] = {}
    for word in words:
        name, _, pattern = word.partition("=")
        if not name or not pattern:
            raise ValueError(f"--groups must be written NAME=PATTERN; got {word!r}.")
        found.setdefault(name, []).append(pattern)
    return found


GRADIENTS = Verb(
    name="gradients",
    summary="bias, variance, signal-to-noise and cost of gradient estimators",
    usage="[EXPERIMENT]",
    description=(
        "Draw many gradients of each estimator at the same parameters: bias against the exact "
        "gradient where the experiment has one, variance, signal-to-noise ratio, time and memory."
    ),
    add_options=_add_options,
    run=_run,
    takes_experiment=True,
)
