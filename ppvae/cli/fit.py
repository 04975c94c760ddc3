"""`ppvae fit`: train one pair, keep it in a folder, say how good it is."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ppvae.cli.data_options import add_data_options, data_of
from ppvae.cli.folders import free_folder
from ppvae.cli.kinds import seed, text, whole
from ppvae.cli.opening import announce, only_one
from ppvae.cli.own_options import own_options
from ppvae.cli.parser import Verb
from ppvae.cli.training_options import add_training_options

if TYPE_CHECKING:
    from ppvae.run import Run

__all__ = ["FIT"]

_QUICK_STEPS = 200
_PARTICLES, _QUICK_PARTICLES = 100, 10
# What may be said of a run that goes on; all else it keeps.
_OF_RESUME = (
    "words",
    "rest",
    "command",
    "resume",
    "epochs",
    "steps",
    "data_dir",
    "device",
    "quick",
)


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_data_options(parser)
    group = parser.add_argument_group("training (defaults: the experiment's own)")
    group.add_argument(
        "--estimator", type=text, metavar="NAME", help="a name of `ppvae list`, or mine.py:MyBound"
    )
    add_training_options(group)
    group.add_argument(
        "--patience",
        type=whole,
        metavar="N",
        help="stop after N epochs without a better validation bound, and keep the best",
    )
    group.add_argument(
        "--seed", type=seed, metavar="N", help="of weights, order and draws (default: 0)"
    )
    group = parser.add_argument_group("run")
    group.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="where the run is kept (default: runs/EXPERIMENT-DATA-ESTIMATOR-seedN)",
    )
    group.add_argument(
        "--resume",
        type=Path,
        metavar="FOLDER",
        help="go on with a run, to more --epochs or --steps if given; name the experiment again "
        "if its file has changed",
    )
    group.add_argument(
        "--quick", action="store_true", help=f"{_QUICK_STEPS} steps unless told otherwise"
    )


def _run(arguments: argparse.Namespace) -> int:
    run, folder = _resumed(arguments) if arguments.resume else _begun(arguments)
    from ppvae.cli.summary import summarize

    particles = _QUICK_PARTICLES if arguments.quick else _PARTICLES
    summarize(run, folder, particles, arguments.data_dir)
    return 0


def _begun(arguments: argparse.Namespace) -> tuple[Run, Path]:
    name = only_one(arguments.words)
    announce("fit", [name], arguments)
    from ppvae.experiment import build, find_recipe
    from ppvae.fit import fit
    from ppvae.named import estimator_named, name_of

    recipe = find_recipe(name)
    options = own_options(FIT, {name: recipe}, arguments.rest)
    estimator = None if arguments.estimator is None else estimator_named(arguments.estimator)
    data = data_of(arguments, recipe)
    start = arguments.seed or 0
    experiment = build(recipe, data, seed=start, **options)
    label = f"{recipe.name}-{data.name}-{name_of(estimator or experiment.estimator)}-seed{start}"
    folder = arguments.out or free_folder(label)
    print(data.describe(), flush=True)
    quick = arguments.quick and arguments.epochs is None and arguments.steps is None
    with _say_how_to_resume(folder, arguments.data_dir):
        run = fit(
            experiment,
            data,
            estimator=estimator,
            epochs=arguments.epochs,
            steps=_QUICK_STEPS if quick else arguments.steps,
            batch_size=arguments.batch_size,
            lr=arguments.lr,
            clip_norm=arguments.clip_norm,
            patience=arguments.patience,
            seed=start,
            device=arguments.device,
            threads=arguments.threads,
            compile=arguments.compile or "auto",
            folder=folder,
        )
    return run, folder


def _resumed(arguments: argparse.Namespace) -> tuple[Run, Path]:
    folder = arguments.resume
    unchangeable = [
        f"--{name.replace('_', '-')}"
        for name, value in vars(arguments).items()
        if name not in _OF_RESUME and value is not None
    ]
    if refused := [*unchangeable, *arguments.rest]:
        raise ValueError(
            "a resumed run must keep its settings, apart from --epochs, --steps, --data-dir and "
            f"--device; got {refused[0]}."
        )
    print(f"ppvae fit: going on with {folder} ...", flush=True)
    from ppvae.runs import resume

    with _say_how_to_resume(folder, arguments.data_dir):
        run = resume(
            folder,
            epochs=arguments.epochs,
            steps=arguments.steps,
            experiment=only_one(arguments.words) if arguments.words else None,
            data_dir=arguments.data_dir,
            device=arguments.device,
        )
    return run, folder


@contextlib.contextmanager
def _say_how_to_resume(folder: Path, data_dir: str | None) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        from ppvae.run import CHECKPOINT

        if not (folder / CHECKPOINT).exists():
            raise KeyboardInterrupt("stopped before the first step; nothing was kept.") from None
        found = f" --data-dir {data_dir}" if data_dir else ""
        text = f"stopped; go on with: ppvae fit --resume {folder}{found}"
        raise KeyboardInterrupt(text) from None


FIT = Verb(
    name="fit",
    summary="train one pair, and say how good it is",
    usage="[EXPERIMENT]",
    description=(
        "Train one pair, keep it in a folder, write its pictures, and say how good it is on "
        "rows that it has not seen. The experiment's own options: ppvae fit EXPERIMENT "
        "--help."
    ),
    add_options=_add_options,
    run=_run,
    takes_experiment=True,
)
