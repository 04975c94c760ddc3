"""`ppvae sample`: draw from the prior of a run's model, decode, and write a picture."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ppvae.cli.kinds import Listed, given, seed, whole
from ppvae.cli.parser import Verb
from ppvae.cli.run_options import add_run_options

if TYPE_CHECKING:
    import xarray

    from ppvae.run import Run

__all__ = ["SAMPLE"]


def _add_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("draws")
    group.add_argument(
        "--num-rows", type=whole, default=100, metavar="N", help="how many (default: 100)"
    )
    group.add_argument(
        "--given",
        action=Listed,
        kind=given,
        default=[],
        metavar="SITE=NUMBER",
        help="hold a site, or a field that the programs ask for, at a value: y=3",
    )
    group.add_argument("--seed", type=seed, default=0, metavar="N", help="of draws (default: 0)")
    group.add_argument(
        "--out",
        type=Path,
        metavar="PICTURE",
        help="a .png, .pdf or .svg file (default: samples.png in the run's folder)",
    )
    group.add_argument("--quick", action="store_true", help="accepted as everywhere; it is quick")
    add_run_options(parser)


def _run(arguments: argparse.Namespace) -> int:
    if len(arguments.words) != 1:
        raise ValueError(f"one run folder must be named; got {len(arguments.words)}.")
    folder = Path(arguments.words[0])
    print(f"ppvae sample: {arguments.num_rows} rows from {folder} ...", flush=True)
    from ppvae import plot
    from ppvae.cli.pictures import save_figure
    from ppvae.runs import load_run

    run = load_run(
        folder,
        experiment=arguments.experiment,
        data_dir=arguments.data_dir,
        device=arguments.device,
    )
    drawn = _draw(run, arguments.num_rows, dict(arguments.given), arguments.seed)
    out = arguments.out or folder / "samples.png"
    save_figure(plot.samples(drawn, run.data.image_shape), out)
    print(f"written to {out}")
    return 0


def _draw(run: Run, num_rows: int, given: Mapping[str, float], start: int) -> xarray.Dataset:
    import torch

    from ppvae.generate import sample
    from ppvae.pair import fields_asked

    free = sample(run, num_rows, seed=start)
    if not given:
        return free
    sites = sorted(str(name) for name in free if not str(name).endswith("_mean"))
    held, like = {}, dict(run.data.train)
    for name, value in given.items():
        if name in sites:
            held[name] = torch.full_like(torch.from_numpy(free[name].values), value)
        elif name in (fields_asked(run.model) or {}) and name in like:
            like[name] = torch.full_like(like[name], value)
        else:
            raise ValueError(
                f"given must name sites of the model, {sites}, or fields that it asks for; "
                f"got {name!r}."
            )
    return sample(run, num_rows, like=like, given=held, seed=start)


SAMPLE = Verb(
    name="sample",
    summary="draw from a run's model, and write a picture",
    usage="RUN",
    description=("Draw from the prior of a run's model, decode, and write a picture."),
    add_options=_add_options,
    run=_run,
)
