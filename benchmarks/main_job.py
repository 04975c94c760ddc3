"""What does a captured step bring to the README's job, ``ppvae compare``?

    python benchmarks/main_job.py                   # twice as long as the job
    python benchmarks/main_job.py --epochs 3 --seeds 0 1

The job runs with ``compile="off"`` and with ``compile="auto"`` in turn, there and back, each time
with all its seeds, which share what is captured. Training seconds are those of the comparison's
own clock, without evaluation; whole seconds are from the call to its return, with what is loaded
and compiled once in a process, and with an empty cache of compiled code at the beginning. A
replayed step gives the same numbers bit by bit, a compiled one the same up to rounding, which
grows in the course of a training: the largest difference in each quantity is printed.

Writes main_job.json into --out.
"""

import argparse
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from compiled_code import empty_cache
from recorded import write_record
from turns import quartiles

import ppvae
from ppvae.data import load
from ppvae.experiment import find_recipe

WAYS = ("off", "auto")
# Clocks, and what is a function of the other variables.
NOT_COMPARED = {"seconds", "ms_per_step", "summary"}


class Done(NamedTuple):
    """One job."""

    dataset: xr.Dataset
    seconds: float  # from the call to its return

    @property
    def training(self) -> dict[str, float]:
        """Seconds of training by estimator, over all seeds."""
        seconds = self.dataset["seconds"]
        seconds = seconds.max(set(seconds.dims) - {"estimator", "seed"}).sum("seed")
        return {str(name): float(each) for name, each in seconds.to_series().items()}


def job(way: str, seeds: Sequence[int], epochs: int | None) -> Done:
    """The README's job."""
    recipe = find_recipe("vae")
    start = time.perf_counter()
    comparison = ppvae.compare(
        recipe, load(recipe.data), seeds=seeds, epochs=epochs, progress=False, compile=way
    )
    return Done(comparison.dataset, time.perf_counter() - start)


def largest_differences(one: xr.Dataset, other: xr.Dataset) -> dict[str, float]:
    """By quantity, the largest absolute difference, over all estimators and rows."""
    found = {}
    for name in map(str, one):
        if name not in NOT_COMPARED and np.issubdtype(one[name].dtype, np.number):
            mine, theirs = one[name].values.astype(float), other[name].values.astype(float)
            both = np.isnan(mine) & np.isnan(theirs)
            # What is missing on one side only is no small difference.
            difference = np.nan_to_num(np.abs(mine - theirs), nan=np.inf)
            found[name] = float(np.where(both, 0.0, difference).max(initial=0.0))
    return found


def show(runs: dict[tuple[str, int], Done], turns: Sequence[int]) -> dict[str, Any]:
    """Print both sides, and return their ratios: captured over not captured."""
    first = runs[WAYS[0], turns[0]]
    print(f"\n{'seconds of training':24}" + "".join(f"{way:>10}" for way in WAYS) + "   ratio")
    over: dict[str, list[float]] = {}
    for label in first.training:
        each = {way: np.array([runs[way, t].training[label] for t in turns]) for way in WAYS}
        over[label] = _line(label, each)
    summed = {way: np.array([sum(runs[way, t].training.values()) for t in turns]) for way in WAYS}
    over["all training"] = _line("all", summed)
    whole = {way: np.array([runs[way, t].seconds for t in turns]) for way in WAYS}
    over["the whole job"] = _line("the whole job", whole)
    return over


def _line(label: str, seconds: dict[str, np.ndarray]) -> list[float]:
    off, auto = (seconds[way] for way in WAYS)
    low, median, high = quartiles(auto / off)
    total = float(f"{auto.sum() / off.sum():.4g}")
    print(
        f"{label:24}{off.sum():10.1f}{auto.sum():10.1f}{total:8.3f}"
        f"   by turn {median:.3f} ({low:.3f} to {high:.3f})"
    )
    return [low, median, high, total]


def main() -> int:
    """Run both sides in turn, print their ratio, write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, help="the experiment's own unless given")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--turns", type=int, default=1, help="of each side")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    chosen, start = parser.parse_args(), time.perf_counter()
    runs: dict[tuple[str, int], Done] = {}
    differences: dict[str, float] = {}
    with empty_cache():
        for turn in range(chosen.turns):
            for way in WAYS[:: -1 if turn % 2 else 1]:
                runs[way, turn] = job(way, chosen.seeds, chosen.epochs)
                print(f"turn {turn + 1}, {way}: {runs[way, turn].seconds:.1f} s", flush=True)
            new = largest_differences(*(runs[way, turn].dataset for way in WAYS))
            differences = {
                name: max(differences.get(name, 0.0), each) for name, each in new.items()
            }
    over = show(runs, range(chosen.turns))
    said = ", ".join(f"{name} {each:.2g}" for name, each in differences.items() if each > 0)
    print(f"\nlargest differences: {said or 'none, the numbers are equal bit by bit'}")
    path = chosen.out / "main_job.json"
    write_record(
        path,
        shlex.join(["python", "benchmarks/main_job.py", *sys.argv[1:]]),
        chosen.seeds,
        seconds=round(time.perf_counter() - start),
        threads=1,
        epochs=chosen.epochs or "the experiment's own",
        runs=[
            {"compile": way, "turn": turn, "seconds": done.seconds, "training": done.training}
            for (way, turn), done in runs.items()
        ],
        over_off=over,
        largest_differences=differences,
    )
    print(f"numbers in {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
