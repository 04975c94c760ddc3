"""MNIST with few labels: what do the rows without a label add to one and the same q(y|.)?

    python benchmarks/few_labels.py                              # 3000, 1000, 600 and 100 labels
    python benchmarks/few_labels.py --labels 100 --label-seeds 0 --epochs 5     # a first look
    python benchmarks/few_labels.py --pair m2 --label-seeds 0    # M2 on the pixels themselves

M1+M2 (`ppvae fit m1-m2`): M1, a VAE, is trained once, on the 50000 training rows without their
labels, binarised anew in each epoch; M2 explains draws of its codes. Each cell trains M2 twice from
the same weights, with all rows and with the labels alone (beta = 0, where the classifier has their
cross-entropy and nothing else), and scores the 10000 test rows by q(y|.), and by Bayes' rule too
where all rows were used. The last epoch counts. Settings are the same in every cell but for how
many of the 100 rows of a batch have a label: 2, and of 600 labels 5, of 1000 labels 10, of 3000
labels 20. They were chosen on the first 1000 validation rows, at last on label draw 20; draws 0 to
2 served in the search before, with test accuracy in sight, and draws 10 and 11 of 100 labels were
looked at once, with 40 epochs and 5 labelled rows: 0.9285 and 0.9478. The draws here are others.

Pyro's best row is .958 / .949 / .944 / .932 with 3000 / 1000 / 600 / 100 labels; the paper's M1+M2,
after thousands of epochs, .978 / .976 / .974 / .967. Writes few_labels.json (few_labels_m2.json
with --pair m2) after each cell.

Source: Kingma et al. (2014), arXiv:1406.5298, its table of MNIST errors; Pyro's tutorial ss-vae.
"""

import argparse
import copy
import statistics
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from recorded import write_record

import ppvae
from ppvae import Experiment, SemiSupervised
from ppvae.data import load
from ppvae.experiment import build, find_recipe

LABELLED = {3000: 20, 1000: 10, 600: 5}
OPTIONS: dict[str, dict[str, Any]] = {
    "m1-m2": {"code_dim": 30, "latent_dim": 10, "hidden": 500, "m1_epochs": 40},
    "m2": {"latent_dim": 30, "hidden": 500},
}
ALPHA = 10.0


def cell(made: Experiment, labels: int, seed: int, epochs: int) -> dict[str, float]:
    """Accuracies of one draw of the labels, and how long their trainings took."""
    data = load("mnist", labels=labels, label_seed=seed)
    found: dict[str, float] = {"labels": labels, "label_seed": seed}
    for name, beta in (("alone", 0.0), ("all_rows", 1.0)):
        start = time.perf_counter()
        experiment = replace(
            copy.deepcopy(made),
            estimator=SemiSupervised(ALPHA, beta),
            labelled_per_batch=LABELLED.get(labels, 2),
        )
        run = ppvae.fit(experiment, data, epochs=epochs, threads=1, progress=False)
        found[f"{name}_seconds"] = time.perf_counter() - start
        predicted = ppvae.predict(run, data.test, num_particles=20 if beta else 5)
        found[name] = predicted.guide.accuracy
        if beta:
            found["all_rows_by_bayes"] = predicted.bayes.accuracy
    return found


def cells(made: Experiment, chosen: argparse.Namespace) -> Iterator[dict[str, float]]:
    """All cells as they end, so many at a time."""
    asked = [(labels, seed) for labels in chosen.labels for seed in chosen.label_seeds]
    if chosen.jobs == 1:
        for labels, seed in asked:
            yield cell(made, labels, seed, chosen.epochs)
        return
    with ProcessPoolExecutor(chosen.jobs, get_context("spawn")) as pool:
        futures = [pool.submit(cell, made, *each, chosen.epochs) for each in asked]
        for future in as_completed(futures):
            yield future.result()


def spread(values: list[float]) -> str:
    """Mean and standard deviation over draws of the labels."""
    deviation = statistics.stdev(values) if len(values) > 1 else float("nan")
    return f"{statistics.mean(values):.4f} ± {deviation:.4f}"


def shown(found: list[dict[str, float]]) -> str:
    """A line for each number of labels."""
    lines = ["labels   the labels alone   with all rows      gain, paired      by Bayes' rule"]
    for labels in sorted({int(each["labels"]) for each in found}, reverse=True):
        of = [each for each in found if each["labels"] == labels]
        columns = [[each[name] for each in of] for name in ("alone", "all_rows")]
        gain = [after - before for before, after in zip(*columns, strict=True)]
        bayes = [each["all_rows_by_bayes"] for each in of]
        lines.append(f"{labels:6}   " + "   ".join(map(spread, (*columns, gain, bayes))))
    return "\n".join(lines)


def main() -> int:
    """Train the cells asked for, print each, and keep all."""
    parser = argparse.ArgumentParser(description="MNIST with few labels.")
    parser.add_argument("--pair", choices=OPTIONS, default="m1-m2")
    parser.add_argument("--labels", type=int, nargs="+", default=[100, 3000, 1000, 600])
    parser.add_argument("--label-seeds", type=int, nargs="+", default=[30, 31, 32])
    parser.add_argument("--epochs", type=int, default=80)
    parser.add_argument("--jobs", type=int, default=2, help="cells at a time, a thread each")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    chosen = parser.parse_args()
    options, start = OPTIONS[chosen.pair], time.perf_counter()
    torch.set_num_threads(chosen.jobs)
    made = build(find_recipe(chosen.pair), load("mnist", labels=min(chosen.labels)), **options)
    before = time.perf_counter() - start
    print(f"{chosen.pair}: ready after {before:.0f} s", flush=True)
    settings = options | {"alpha": ALPHA, "epochs": chosen.epochs, "jobs": chosen.jobs}
    name = "few_labels.json" if chosen.pair == "m1-m2" else f"few_labels_{chosen.pair}.json"
    found: list[dict[str, float]] = []
    for each in cells(made, chosen):
        found.append(each)
        print({key: round(value, 4) for key, value in each.items()}, flush=True)
        write_record(
            chosen.out / name,
            f"python benchmarks/few_labels.py {' '.join(sys.argv[1:])}".strip(),
            chosen.label_seeds,
            settings=settings,
            seconds_before_cells=before,
            seconds=time.perf_counter() - start,
            cells=sorted(found, key=lambda each: (-each["labels"], each["label_seed"])),
        )
    print(shown(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
