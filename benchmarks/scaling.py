"""How do time and memory of a step grow with the problem? By ppvae.SVI and by pyro.infer.SVI.

    python benchmarks/scaling.py                    # 7 min on 2 cores

One size at a time is varied: the batch, the draws K of the importance-weighted bound, the width of
the code, the depth of both networks, and the classes that M2 sums out. All that step a workload
take turns on one thread, as in step.py; memory is how far the resident memory rises during the
steps after all is captured and compiled, each in a process of its own (peak_memory.py).

Writes scaling.png and scaling.json into --out.
"""

import argparse
import math
import shlex
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from compiled_code import empty_cache
from contest import contest
from matplotlib.axes import Axes
from peak_memory import peaks
from recorded import write_record
from workloads import Workload, m2, vae

from ppvae.plot.canvas import new_figure
from ppvae.plot.looks import log_ticks, looks_of, small

QUICK_ROUNDS, QUICK_VALUES = 3, 2
CONTENDERS = ("pyro", "off", "replay", "inductor")
LABELLED = (*CONTENDERS, "inductor+layer")
WORDS = {
    "pyro": "pyro.infer.SVI",
    "off": "ppvae.SVI, off",
    "replay": "ppvae.SVI, replay",
    "inductor": "ppvae.SVI, inductor",
    "inductor+layer": "inductor, MLP([P, C], ...)",
}


class Sweep(NamedTuple):
    """One size that is varied, and the workload at each value."""

    values: tuple[int, ...]
    at: Callable[[int], Callable[[], Workload]]
    contenders: tuple[str, ...] = CONTENDERS


SWEEPS: Mapping[str, Sweep] = {
    "batch size": Sweep((16, 64, 256, 1024), lambda v: partial(vae, v)),
    "draws K": Sweep((2, 5, 20, 50), lambda v: partial(vae, 64, num_particles=v)),
    "width of the code": Sweep((2, 20, 100, 400), lambda v: partial(vae, latent_dim=v)),
    "hidden layers": Sweep((1, 2, 4), lambda v: partial(vae, hidden=(400,) * v)),
    "classes of M2": Sweep((2, 10, 40), lambda v: partial(m2, 64, classes=v), LABELLED),
}


def measured(factor: str, value: int, chosen: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each contender at one size."""
    sweep = SWEEPS[factor]
    make = sweep.at(value)
    found, _ = contest(
        make(),
        rounds=chosen.rounds,
        block=chosen.block,
        threads=1,
        device=chosen.device,
        seed=chosen.seed,
        names=sweep.contenders,
    )
    jobs = [(row["contender"], make) for row in found]
    memory = peaks(jobs, chosen.device, 1, chosen.seed)
    print(f"{factor} {value}:", end="")
    for row, megabytes in zip(found, memory, strict=True):
        row |= {"factor": factor, "value": value, "memory": megabytes}
        said = f"{row['ms'][1]:.2f} ms, {megabytes.get('later', math.nan):.0f} MB"
        print(f"  {row['contender']} {row['ran_as'] or said}", end="")
    print(flush=True)
    return found


def draw(found: list[dict[str, Any]], path: Path) -> None:
    """Draw time above memory, by the size that is varied."""
    factors = list(dict.fromkeys(row["factor"] for row in found))
    figure, every = new_figure(2, len(factors), size=(2.2 * len(factors) + 0.6, 4.4))
    for place, factor in enumerate(factors):
        own = [row for row in found if row["factor"] == factor and not row["ran_as"]]
        times = {(row["contender"], row["value"]): row["ms"][1] for row in own}
        sizes = {
            (row["contender"], row["value"]): row["memory"]["later"] for row in own if row["memory"]
        }
        for axes, values, label in (
            (every[place], times, "ms per step"),
            (every[place + len(factors)], sizes, "MB"),
        ):
            _lines(axes, values)
            axes.set(xscale="log", yscale="log", xlabel=factor, ylabel="" if place else label)
            axes.set_xticks(SWEEPS[factor].values)
            axes.xaxis.set_major_formatter("{x:g}")
            axes.xaxis.set_minor_formatter("")
            log_ticks(axes.yaxis)
            small(axes)
    handles = every[len(factors) - 1].get_legend_handles_labels()
    place_of_legend = {"loc": "outside upper center", "ncols": len(factors), "frameon": False}
    figure.legend(*handles, fontsize=8, **place_of_legend)
    figure.savefig(path, dpi=150)


def _lines(axes: Axes, values: Mapping[tuple[str, int], float]) -> None:
    for name, (color, dash) in looks_of(WORDS).items():
        points = [(size, value) for (own, size), value in values.items() if own == name]
        if points:
            style = {"color": color, "linestyle": dash, "markersize": 3, "linewidth": 1.2}
            axes.plot(*zip(*points, strict=True), "o", label=WORDS[name], **style)


def main() -> int:
    """Measure all sizes, draw them, write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--factors", nargs="+", choices=SWEEPS, default=list(SWEEPS))
    parser.add_argument("--rounds", type=int, default=9, help="turns of each contender")
    parser.add_argument("--block", type=int, default=10, help="steps in a turn, at most")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--quick", action="store_true", help=f"{QUICK_ROUNDS} rounds, {QUICK_VALUES} values"
    )
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    chosen, start = parser.parse_args(), time.perf_counter()
    if chosen.quick:
        chosen.rounds = QUICK_ROUNDS
    found: list[dict[str, Any]] = []
    with empty_cache():
        for factor in chosen.factors:
            values = SWEEPS[factor].values
            for value in values[:QUICK_VALUES] if chosen.quick else values:
                found += measured(factor, value, chosen)
    chosen.out.mkdir(parents=True, exist_ok=True)
    name = "scaling-cuda" if chosen.device == "cuda" else "scaling"
    draw(found, chosen.out / f"{name}.png")
    seconds = time.perf_counter() - start
    command = shlex.join(["python", "benchmarks/scaling.py", *sys.argv[1:]])
    write_record(
        chosen.out / f"{name}.json", command, [chosen.seed], seconds=round(seconds), rows=found
    )
    print(f"{seconds:.0f} s; picture and numbers in {chosen.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
