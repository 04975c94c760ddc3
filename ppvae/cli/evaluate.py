"""`ppvae evaluate`: judge trained runs on rows that they have not seen."""

from __future__ import annotations

import argparse
from pathlib import Path

from ppvae.cli.kinds import one_of, seed, whole
from ppvae.cli.parser import Verb
from ppvae.cli.run_options import add_run_options
from ppvae.cli.training_options import COMPILE

__all__ = ["EVALUATE"]

_PARTICLES, _QUICK_PARTICLES = 1000, 50


def _add_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("evaluation")
    group.add_argument(
        "--num-particles",
        type=whole,
        metavar="K",
        help=f"draws per row for log p(x) (default: {_PARTICLES})",
    )
    group.add_argument(
        "--split",
        type=one_of(("train", "valid", "test")),
        default="test",
        help="train, valid or test (default: test)",
    )
    group.add_argument("--seed", type=seed, default=0, metavar="N", help="of draws (default: 0)")
    group.add_argument(
        "--compile",
        type=one_of(COMPILE),
        default="auto",
        metavar="HOW",
        help="how rows are scored: replay (Pyro's operations without its Python, the same bits), "
        "inductor (these compiled, the same up to rounding), off (Python), auto (what pays; "
        "default)",
    )
    group.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="a NetCDF file, of one run (default: evaluation.nc in the run's folder)",
    )
    group.add_argument(
        "--quick", action="store_true", help=f"{_QUICK_PARTICLES} draws unless told otherwise"
    )
    add_run_options(parser)


def _run(arguments: argparse.Namespace) -> int:
    folders = [Path(word) for word in arguments.words]
    if not folders:
        raise ValueError("one or more run folders must be named; got none.")
    if arguments.out is not None and len(folders) > 1:
        raise ValueError(f"--out must go with one run; got {len(folders)}.")
    for folder in folders:
        _evaluate(folder, arguments)
    return 0


def _evaluate(folder: Path, arguments: argparse.Namespace) -> None:
    default = _QUICK_PARTICLES if arguments.quick else _PARTICLES
    draws = default if arguments.num_particles is None else arguments.num_particles
    print(f"ppvae evaluate: {folder}, {arguments.split} rows, K = {draws} ...", flush=True)
    from ppvae.evaluate import evaluate, summary
    from ppvae.netcdf import save_dataset
    from ppvae.runs import load_run

    run = load_run(
        folder,
        experiment=arguments.experiment,
        data_dir=arguments.data_dir,
        device=arguments.device,
    )
    found = evaluate(
        run,
        split=arguments.split,
        num_particles=draws,
        seed=arguments.seed,
        compile=arguments.compile,
    )
    out = arguments.out or folder / "evaluation.nc"
    save_dataset(found, out)
    print(f"{summary(found)}\nwritten to {out}", flush=True)


EVALUATE = Verb(
    name="evaluate",
    summary="judge trained runs: log p(x), ELBO, reconstruction, KL, active units",
    usage="RUN...",
    description=(
        "Judge trained runs on rows that they have not seen: log p(x) by importance "
        "weighting, ELBO, reconstruction, KL, active units. Writes evaluation.nc into the "
        "folder of the run."
    ),
    add_options=_add_options,
    run=_run,
)
