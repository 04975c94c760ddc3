"""`ppvae check`: run a pair on one batch, and say what is there and what is wrong."""

from __future__ import annotations

import argparse

from ppvae.cli.data_options import add_data_options, data_of
from ppvae.cli.kinds import seed
from ppvae.cli.opening import announce, only_one
from ppvae.cli.own_options import own_options
from ppvae.cli.parser import Verb

__all__ = ["CHECK"]


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_data_options(parser)
    group = parser.add_argument_group("pair")
    group.add_argument("--seed", type=seed, default=0, metavar="N", help="of weights (default: 0)")
    group.add_argument(
        "--quick", action="store_true", help="accepted as everywhere; a check is always quick"
    )


def _run(arguments: argparse.Namespace) -> int:
    name = only_one(arguments.words)
    announce("check", [name], arguments)
    from ppvae.cli.look import first_look
    from ppvae.experiment import find_recipe

    recipe = find_recipe(name)
    options = own_options(CHECK, {name: recipe}, arguments.rest)
    data = data_of(arguments, recipe)
    report = first_look(recipe, data, seed=arguments.seed, **options)
    print(f"{data.describe()}\n{report}", flush=True)
    report.raise_if_wrong()
    return 0


CHECK = Verb(
    name="check",
    summary="run a pair on one batch, and say what is there and what is wrong",
    usage="[EXPERIMENT]",
    description=(
        "Run a pair on one batch, and say what is there and what is wrong; exit code 2 if "
        "anything is."
    ),
    add_options=_add_options,
    run=_run,
    takes_experiment=True,
)
