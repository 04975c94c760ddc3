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
    import torch

    from ppvae.check import check
    from ppvae.experiment import build, find_recipe
    from ppvae.pair import Pair

    recipe = find_recipe(name)
    options = own_options(CHECK, {name: recipe}, arguments.rest)
    data = data_of(arguments, recipe)
    experiment = build(recipe, data, seed=arguments.seed, **options)
    leaves = Pair(experiment.model, experiment.guide).leaves.values()
    dtype = next((leaf.dtype for leaf in leaves), torch.get_default_dtype())
    rows = data.to("cpu", dtype).epoch(0, arguments.seed)
    batch = {field: values[: experiment.batch_size] for field, values in rows.items()}
    report = check(experiment.model, experiment.guide, batch)
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
