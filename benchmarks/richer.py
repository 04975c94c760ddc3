"""Fixed binarisation of MNIST: what do a richer q(z|x), a richer p(z), a second layer buy?

    python benchmarks/richer.py                     # all rows but the two dear ones, three seeds
    python benchmarks/richer.py --rows planar iaf --seeds 0 --epochs 1          # a first look

One network each way with two hidden layers of 300 units, 40 latents, Adam at 1e-3, batches of 100,
one draw, the KL weighed in from 0 to 1 over the first fifth of the steps: the same in every row.
Nothing was chosen by test rows; the last epoch counts. Rows differ in the guide (diagonal, ten
planar transforms, two of IAF, two of a spline), in the prior (a mixture of 250, a VampPrior of 250
pseudo-inputs, four coupling splines, each with the diagonal guide) or have two layers of codes, 40
and 20, whose networks next to x have two hidden layers too, and those above two of 150 units (of a
rectifier that leaks; elsewhere it does not).

log p(x) is estimated by importance weighting with 500 draws on the first 1000 test rows. At equal
steps all rows have taken as many epochs. At equal seconds a row is taken after its last epoch that
ended within the training time of the diagonal guide on the same seed, whose cells therefore come
first. Seconds are those of the processor, each cell being a process of one thread, so that what
else runs on the machine hardly tells; the bound of the validation rows after each epoch, a tenth of
the work or less, is among them. Differences from the diagonal guide are paired by rows and seeds,
with 95 % intervals.

Published order (their networks are larger and trained for 10 to 100 times as long): diagonal
below planar below IAF; VampPrior 2.99 nats above standard, two layers 2.51 above one. A cell that
is kept in --cells with the same settings is not run again. Writes richer.json after each cell.

Sources: Rezende & Mohamed (2015), arXiv:1505.05770; Kingma et al. (2016), arXiv:1606.04934;
Tomczak & Welling (2018), arXiv:1705.07120.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from recorded import write_record

import ppvae
from ppvae.atomic import write_whole
from ppvae.data import load
from ppvae.experiment import build, find_recipe
from ppvae.intervals import paired_interval, standard_error
from ppvae.named import estimator_named
from ppvae.pair import Pair

FIRST = "diagonal"
# Long epochs, and no part of what is asked: only where they are named.
DEAR = ("mixture-prior", "flow-prior")
# The experiment of a row and its options, beside those that all have.
ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    FIRST: ("flow-guide", {"kind": "diagonal"}),
    "planar": ("flow-guide", {"kind": "planar", "transforms": 10}),
    "iaf": ("flow-guide", {"kind": "iaf", "transforms": 2}),
    "spline": ("flow-guide", {"kind": "spline", "transforms": 2}),
    "mixture-prior": ("vampprior", {"kind": "mixture", "components": 250}),
    "vamp-prior": ("vampprior", {"kind": "vamp", "components": 250}),
    "flow-prior": ("vampprior", {"kind": "flow"}),
    "two-layers": ("hierarchical", {"kind": "layered"}),
}
SHARED = {"latent_dim": 40, "hidden": 300, "depth": 2}
TRAINING: dict[str, Any] = {"batch_size": 100, "lr": 1e-3, "threads": 1, "compile": "replay"}
Cell = dict[str, Any]


def settings_of(row: str, chosen: argparse.Namespace) -> dict[str, Any]:
    """All that decides a cell's numbers but its seed, and but for the seconds."""
    name, own = ROWS[row]
    options = {key: value for key, value in SHARED.items() if key in find_recipe(name).schema}
    asked = {"epochs": chosen.epochs, "warm_up": chosen.warm_up}
    judged = {"draws": chosen.draws, "test_rows": chosen.test_rows}
    return TRAINING | asked | judged | {"experiment": name, "options": options | own}


def cell(row: str, seed: int, settings: dict[str, Any], allowed: float | None) -> Cell:
    """One training, judged at its end and where the allowed seconds were over."""
    torch.set_num_threads(1)
    data = load("binarized_mnist")
    recipe = find_recipe(settings["experiment"])
    experiment = build(recipe, data, seed=seed, **settings["options"])
    kept: list[dict[str, torch.Tensor]] = []
    clock: list[float] = []

    def keep(pair: Pair) -> dict[str, float]:
        clock.append(time.process_time())
        kept.append({name: leaf.detach().clone() for name, leaf in pair.leaves.items()})
        return {}

    run = ppvae.fit(
        experiment,
        data,
        estimator=estimator_named(f"warm-up:{settings['warm_up']}"),
        epochs=settings["epochs"],
        seed=seed,
        progress=False,
        watch=keep,
        **TRAINING,
    )
    seconds = [each - clock[0] for each in clock]
    judge = partial(judged, run.pair, data.test["x"], settings)
    start = time.perf_counter()
    last = len(seconds) - 1
    allowed = seconds[last] if allowed is None else allowed
    within = max(epoch for epoch, taken in enumerate(seconds) if taken <= allowed)
    steps = judge(kept[last])
    found = {"row": row, "seed": seed, "settings": settings, "seconds": seconds}
    return found | {
        "allowed_seconds": allowed,
        "epoch_within_seconds": within,
        "at_equal_steps": steps,
        "at_equal_seconds": steps if within == last else judge(kept[within]),
        "judging_seconds": time.perf_counter() - start,
    }


def judged(
    pair: Pair, x: torch.Tensor, settings: dict[str, Any], leaves: dict[str, torch.Tensor]
) -> list[float]:
    """Log-evidence of test rows, (N,) nats, with the parameters of an epoch."""
    with torch.no_grad():
        for name, leaf in pair.leaves.items():
            leaf.copy_(leaves[name])
    found = ppvae.evaluate(pair, x[: settings["test_rows"]], num_particles=settings["draws"])
    return [round(float(each), 4) for each in found["log_evidence"].values]


def kept_cell(path: Path, settings: dict[str, Any], allowed: float | None) -> Cell | None:
    """The cell in a file, if it is of these settings and was allowed these seconds."""
    if not path.is_file():
        return None
    found: Cell = json.loads(path.read_text())
    same = found["settings"] == settings
    return found if same and allowed in (None, found["allowed_seconds"]) else None


def cells(chosen: argparse.Namespace) -> Iterator[Cell]:
    """All cells as they end, so many at a time; those of the diagonal guide first."""
    allowed: dict[int, float] = {}
    chosen.cells.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(chosen.jobs, get_context("spawn")) as pool:
        for rows in ([FIRST], [row for row in chosen.rows if row != FIRST]):
            futures = []
            for seed, row in ((seed, row) for seed in chosen.seeds for row in rows):
                settings, most = settings_of(row, chosen), allowed.get(seed)
                found = kept_cell(chosen.cells / f"{row}-{seed}.json", settings, most)
                if found is None:
                    futures.append(pool.submit(cell, row, seed, settings, most))
                    continue
                if row == FIRST:
                    allowed[seed] = found["seconds"][-1]
                yield found
            for future in as_completed(futures):
                found = future.result()
                path = chosen.cells / f"{found['row']}-{found['seed']}.json"
                write_whole(path, json.dumps(found) + "\n")
                if found["row"] == FIRST:
                    allowed[found["seed"]] = found["seconds"][-1]
                yield found


def table(found: list[Cell]) -> list[dict[str, Any]]:
    """A line for each row whose seeds are all there, with differences from the diagonal guide."""
    by = {(each["row"], each["seed"]): each for each in found}
    seeds = sorted({seed for row, seed in by if row == FIRST})
    lines = []
    for row in ROWS:
        of = [by[row, seed] for seed in seeds if (row, seed) in by]
        if len(of) < len(seeds) or not of:
            continue
        epochs = of[0]["settings"]["epochs"]
        line: dict[str, Any] = {
            "row": row,
            "seconds_an_epoch": float(np.mean([each["seconds"][-1] for each in of])) / epochs,
            "epochs_within_seconds": [each["epoch_within_seconds"] for each in of],
        }
        for at in ("at_equal_steps", "at_equal_seconds"):
            values = np.array([each[at] for each in of])
            first = np.array([by[FIRST, seed][at] for seed in seeds])
            line[at] = float(values.mean())
            line[f"{at}_se"] = standard_error(values)
            line[f"{at}_above_first"] = list(paired_interval(values - first))
            line[f"{at}_by_seed"] = values.mean(1).tolist()
        lines.append(line)
    return lines


def shown(lines: list[dict[str, Any]]) -> str:
    """The table."""
    text = [
        "log p(x), nats    at equal steps     above diagonal         "
        "at equal seconds   above diagonal         s/epoch"
    ]
    for line in lines:
        parts = [f"{line['row']:15}"]
        for at in ("at_equal_steps", "at_equal_seconds"):
            value, low, high = line[f"{at}_above_first"]
            parts.append(f"{line[at]:9.2f} ± {line[f'{at}_se']:.2f}")
            off = "" if line["row"] == FIRST else f"{value:+.2f} [{low:+.2f}, {high:+.2f}]"
            parts.append(f"{off:21}")
        text.append("  ".join([*parts, f"{line['seconds_an_epoch']:6.2f}"]))
    return "\n".join(text)


def parsed() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    usual = [row for row in ROWS if row not in DEAR]
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=usual)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--warm-up", type=float, default=0.2, help="share of the steps")
    parser.add_argument("--draws", type=int, default=500, help="of log p(x)")
    parser.add_argument("--test-rows", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=2, help="cells at a time, a thread each")
    parser.add_argument("--cells", type=Path, default=Path("runs/richer"), help="to resume from")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    return parser.parse_args()


def main() -> int:
    """Run the cells that are missing, print each, and keep all."""
    chosen, start = parsed(), time.perf_counter()
    torch.set_num_threads(1)
    found: list[Cell] = []
    for each in cells(chosen):
        found.append(each)
        steps, within = (np.mean(each[f"at_equal_{at}"]) for at in ("steps", "seconds"))
        print(
            f"{each['row']:15} seed {each['seed']}: {steps:.2f} after {each['seconds'][-1]:.0f} s, "
            f"{within:.2f} after epoch {each['epoch_within_seconds']} and "
            f"{each['allowed_seconds']:.0f} s",
            flush=True,
        )
        write_record(
            chosen.out / "richer.json",
            " ".join(["python benchmarks/richer.py", *sys.argv[1:]]),
            chosen.seeds,
            jobs=chosen.jobs,
            seconds=time.perf_counter() - start,
            settings={row: settings_of(row, chosen) for row in {each["row"] for each in found}},
            found=table(found),
        )
    print(shown(table(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
