"""`ppvae impute`: fill what is not observed of a run's rows, and write a picture."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ppvae.cli.kinds import at_least_one, one_of, seed, text
from ppvae.cli.parser import Verb
from ppvae.cli.run_options import add_run_options

if TYPE_CHECKING:
    import xarray

    from ppvae.data import Data
    from ppvae.run import Run

__all__ = ["IMPUTE"]

_DRAWS, _QUICK_DRAWS = 1000, 100
_SHOWN = 8


def _add_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("holes and draws")
    group.add_argument(
        "--missing",
        type=text,
        metavar="HOW",
        help="which values are left out: pixels:FRACTION, block:SIDE, strokes:NUMBER, "
        "strokes:NUMBER:WIDTH or quadrants:OBSERVED (default: those of the run's data)",
    )
    group.add_argument(
        "--split",
        type=one_of(("train", "valid", "test")),
        default="test",
        help="train, valid or test (default: test)",
    )
    group.add_argument(
        "--num-rows", type=at_least_one, default=100, metavar="N", help="how many (default: 100)"
    )
    group.add_argument(
        "--num-draws",
        type=at_least_one,
        metavar="L",
        help=f"draws of the guide for each row (default: {_DRAWS})",
    )
    group.add_argument("--seed", type=seed, default=0, metavar="N", help="of draws (default: 0)")
    group.add_argument(
        "--out",
        type=Path,
        metavar="PICTURE",
        help="a .png, .pdf or .svg file, beside which a .nc file keeps the numbers (default: "
        "imputed.png in the run's folder)",
    )
    group.add_argument(
        "--quick", action="store_true", help=f"{_QUICK_DRAWS} draws unless told otherwise"
    )
    add_run_options(parser)


def _run(arguments: argparse.Namespace) -> int:
    if len(arguments.words) != 1:
        raise ValueError(f"one run folder must be named; got {len(arguments.words)}.")
    folder = Path(arguments.words[0])
    draws = arguments.num_draws or (_QUICK_DRAWS if arguments.quick else _DRAWS)
    print(f"ppvae impute: {folder}, {arguments.split} rows, L = {draws} ...", flush=True)
    from ppvae import plot
    from ppvae.cli.pictures import save_figure
    from ppvae.impute import impute
    from ppvae.netcdf import save_dataset
    from ppvae.runs import load_run

    run = load_run(
        folder,
        experiment=arguments.experiment,
        data_dir=arguments.data_dir,
        device=arguments.device,
    )
    data = _with_holes(run, arguments.missing, arguments.data_dir)
    rows = {name: v[: arguments.num_rows] for name, v in data.splits[arguments.split].items()}
    found = impute(run, rows, num_draws=draws, seed=arguments.seed)
    whole = data.complete(arguments.split)
    original = None if whole is None else whole[: arguments.num_rows].cpu().numpy()
    mask = rows["mask"].cpu().numpy()
    shown = found.isel(row=slice(_SHOWN))
    known = None if original is None else original[:_SHOWN]
    figure = plot.fillings(shown, mask[:_SHOWN], data.image_shape, original=known)
    out = arguments.out or folder / "imputed.png"
    save_figure(figure, out)
    save_dataset(found, out.with_suffix(".nc"))
    print(_summary(found, mask, original, data.mean.cpu().numpy()))
    print(f"written to {out} and {out.with_suffix('.nc')}", flush=True)
    return 0


def _with_holes(run: Run, missing: str | None, data_dir: str | None) -> Data:
    """The data of a run with the holes asked for, or their own."""
    from dataclasses import replace

    from ppvae.data import load

    if missing is not None:
        source = replace(run.data.source, missing=missing, masks="once")
        return load(source, data_dir=data_dir, device=run.device)
    if "mask" not in run.data.train:
        raise ValueError("missing must be given where the run's data have no holes; got none.")
    return run.data


def _summary(found: xarray.Dataset, mask: object, original: object, mean_of_data: object) -> str:
    import numpy as np

    seen = np.asarray(mask)
    lines = [
        f"{found.sizes['row']} rows, {1 - seen.mean():.1%} of their values filled in",
        f"{'log p(observed)':<24}{float(found['log_evidence'].mean()):10.3f} nats per row",
        f"{'effective draws':<24}{float(found['ess'].median()):10.1f} of "
        f"{found.attrs['num_draws']} in the median row",
    ]
    if original is not None and not seen.all():
        x = np.asarray(original)
        fills = {
            "weighted mean": found["x_mean"].values,
            "a weighted draw": found["x"].values[:, 0],
            "a draw of the guide": found["x_plain"].values[:, 0],
            "mean of training rows": np.broadcast_to(np.asarray(mean_of_data), x.shape),
        }
        lines.append("root of the mean squared error of hidden values")
        lines += [
            f"  {name:<22}{np.sqrt(np.square(fill - x)[~seen].mean()):10.4f}"
            for name, fill in fills.items()
        ]
    return "\n".join(lines)


IMPUTE = Verb(
    name="impute",
    summary="fill what is not observed of a run's rows, and write a picture",
    usage="RUN",
    description=(
        "Fill the holes of rows: the mean given what is observed, and draws, weighted by "
        "importance. Writes a picture of originals, holes and fillings, and the numbers."
    ),
    add_options=_add_options,
    run=_run,
)
