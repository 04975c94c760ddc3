"""How long does a step take? ppvae's, captured and not, against plain torch, Pyro and NumPyro.

    python benchmarks/step.py                       # 14 min on 2 cores
    python benchmarks/step.py --memory              # and the peak memory of each
    python benchmarks/step.py --workloads vae-32 m2-128 --threads 1 --rounds 8
    python benchmarks/step.py --device cuda

All contenders of a workload take turns of a few steps, there and back, in one process (NumPyro in
one of its own, which idles meanwhile). A step is: gather a minibatch of data that are in memory,
the loss, its gradient, Adam. Ratios are taken within a round, so that what slows the machine down
slows both; shown are medians, with quartiles in the numbers. The warm-up is what the first steps
take beyond their later time: capturing and compiling, with an empty cache of compiled code at the
beginning of the run. What the first compilation does for all later ones is done and timed before.

Writes step.json (step-cuda.json) into --out.
"""

import argparse
import os
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import torch
from acceptance import COLUMNS, DEMANDS, cells
from compiled_code import empty_cache, first_compile
from contest import contest
from peak_memory import peaks
from recorded import write_record
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from step_names import CONTENDERS, REFERENCES, WORKLOADS
from workloads import MAKERS

QUICK_ROUNDS = 3
LEAST_WIDTH = 170


def show(name: str, threads: int, found: list[dict[str, Any]], console: Console) -> None:
    """Print the rows of one contest."""
    table = Table(title=f"{WORKLOADS[name]}, threads: {threads}", title_justify="left")
    table.add_column("", no_wrap=True)
    present = [each for each in REFERENCES if each in found[0]["over"]]
    for column in ("ms/step", "quartiles", *(f"/ {each}" for each in present), "warm-up s", "MB"):
        table.add_column(column, justify="right")
    for row in found:
        low, median, high = row["ms"]
        memory = row.get("memory")
        other = f" (ran as {row['ran_as']})" if row["ran_as"] else ""
        table.add_row(
            escape(CONTENDERS[row["contender"]]) + other,
            f"{median:.2f}",
            f"{low:.2f} to {high:.2f}",
            *(f"{row['over'][each][1]:.2f}" for each in present),
            f"{row['warm_up']:.1f}",
            f"{memory['later']:.0f}" if memory else "",
        )
    console.print(table)


def show_acceptance(steps: list[dict[str, Any]], threads: list[int], console: Console) -> None:
    """Print what must be reached, and what was."""
    title = f'compile="inductor" relative to each, threads: {" / ".join(map(str, threads))}'
    table = Table(title=title, title_justify="left")
    table.add_column("", no_wrap=True)
    for each in COLUMNS:
        table.add_column(WORKLOADS[each], no_wrap=True)
    missed = 0
    for demand in DEMANDS:
        found = cells(demand, steps)
        missed += sum(cell.met is False for cell in found.values())
        table.add_row(escape(demand.words), *(str(found.get(each, "")) for each in COLUMNS))
    console.print(table)
    console.print(f"limits missed: {missed}")


def add_memory(name: str, found: list[dict[str, Any]], chosen: argparse.Namespace) -> None:
    """Measure the memory of all that ran in this process, at the first number of threads."""
    ran = [row for row in found if not row["contender"].startswith("numpyro")]
    jobs = [(row["contender"], MAKERS[name]) for row in ran]
    measured = peaks(jobs, chosen.device, chosen.threads[0], chosen.seed)
    for row, memory in zip(ran, measured, strict=True):
        row["memory"] = memory


def options() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=25, help="turns of each contender")
    parser.add_argument("--block", type=int, default=10, help="steps in a turn, at most")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--memory", action="store_true", help="peak memory too")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROUNDS} rounds")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.rounds = QUICK_ROUNDS
    if chosen.device == "cuda":
        chosen.threads = chosen.threads[:1]
    return chosen


def contests(
    chosen: argparse.Namespace, console: Console
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Run all contests, showing each: the rows of all, and what NumPyro says of itself."""
    steps: list[dict[str, Any]] = []
    about: dict[str, Any] = {}
    for name in chosen.workloads:
        for threads in chosen.threads:
            found, said = contest(
                MAKERS[name](),
                rounds=chosen.rounds,
                block=chosen.block,
                threads=threads,
                device=chosen.device,
                seed=chosen.seed,
            )
            found = [{"workload": name, "threads": threads} | row for row in found]
            if chosen.memory and threads == chosen.threads[0]:
                add_memory(name, found, chosen)
            show(name, threads, found, console)
            steps += found
            about |= said
    return steps, about


def main() -> int:
    """Time all, print the tables, write the numbers."""
    chosen, start = options(), time.perf_counter()
    console = Console(width=max(LEAST_WIDTH, Console().width))
    load = [round(each, 2) for each in os.getloadavg()]
    with empty_cache():
        first = first_compile()
        console.print(f"compiling next to nothing, for the first time: {first:.1f} s")
        steps, about = contests(chosen, console)
    show_acceptance(steps, chosen.threads, console)
    path = chosen.out / ("step-cuda.json" if chosen.device == "cuda" else "step.json")
    seconds = time.perf_counter() - start
    write_record(
        path,
        shlex.join(["python", "benchmarks/step.py", *sys.argv[1:]]),
        [chosen.seed],
        seconds=round(seconds),
        threads=chosen.threads,
        device=torch.cuda.get_device_name() if chosen.device == "cuda" else "cpu",
        load_before=load,
        first_compile=round(first, 1),
        numpyro=about,
        rounds=chosen.rounds,
        steps=steps,
    )
    console.print(f"{seconds:.0f} s; numbers in {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
