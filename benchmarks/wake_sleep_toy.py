"""Who learns the posterior of a discrete label best? Twenty clusters, against the exact softmax.

    python benchmarks/wake_sleep_toy.py
    python benchmarks/wake_sleep_toy.py --steps 100000     # as long as the paper trains

The experiment is ``mixture``: x ~ N(10 y, 5^2) with p(y) in proportion to 5 + y; the shares are
learned, and the guide is a softmax over a 1-16-20 network. Its error is held against the exact
posterior under the true shares, on held-out rows:

    L2       |q(y|x) - p(y|x)|, the mean over rows
    KL       KL(p(y|x) || q(y|x)) in nats, the mean over rows
    prior    |p_theta(y) - p(y)|

In the last two rows the label is summed out instead of drawn: their gradients have no noise of
draws, and show what the ELBO, which the score function follows too, and wake-wake are after.
All estimators start from the same weights and see the same rows in the same order at each seed.
+- is a standard error over seeds and rows; the differences to wake-wake have 95 % intervals for
both. Adam at 1e-3, batches of 100, as in the paper; fewer steps by default than its 1e5, and a
finite data set of 10000 rows. Writes wake_sleep_toy.json into --out.

Source: Le et al. (2019), Revisiting reweighted wake-sleep, arXiv:1805.10469.
"""

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import joblib
import numpy as np
import pyro
import torch
from numpy.typing import NDArray
from recorded import write_record
from torch import Tensor

from ppvae import ELBO, IWAE, SVI, Estimator
from ppvae.data import Data, batches, load
from ppvae.estimators import ReweightedWakeSleep
from ppvae.estimators.gradients import VIMCO, LeaveOneOut, ScoreFunction
from ppvae.experiment import build, find_recipe
from ppvae.intervals import paired_interval, standard_error
from ppvae.threads import cpu_threads

BATCH_SIZE = 100
# By name: the estimator of K draws, and whether the label is summed out instead.
ESTIMATORS: dict[str, tuple[Callable[[int], Estimator], bool]] = {
    "wake-wake": (ReweightedWakeSleep, False),
    "wake-sleep": (partial(ReweightedWakeSleep, insomnia=0.0), False),
    "VIMCO": (lambda k: IWAE(k, gradient=VIMCO()), False),
    "score function": (lambda k: ELBO(k, gradient=ScoreFunction(LeaveOneOut())), False),
    "ELBO, summed": (lambda k: ELBO(), True),
    "wake-wake, summed": (lambda k: ReweightedWakeSleep(), True),
}
Errors = dict[str, NDArray[np.float64]]


def truth(x: Tensor) -> tuple[Tensor, Tensor]:
    """The true shares, (20,), and log p(y|x) under them, (B, 20)."""
    y = torch.arange(20.0)
    shares = (5 + y) / (5 + y).sum()
    log_joint = shares.log() - (x - 10 * y).square() / (2 * 5.0**2)
    return shares, log_joint.log_softmax(-1)


def errors(model: torch.nn.Module, guide: torch.nn.Module, x: Tensor) -> Errors:
    """L2 and KL by row, (R,), and that of the shares, (1,)."""
    shares, log_exact = truth(x)
    with torch.no_grad():
        log_q = guide.encoder(x).log_softmax(-1)
        exact = log_exact.exp()
        return {
            "L2": (log_q.exp() - exact).norm(dim=-1).numpy().astype(float),
            "KL": (exact * (log_exact - log_q)).sum(-1).numpy().astype(float),
            "prior": (model.theta.softmax(-1) - shares).norm()[None].numpy().astype(float),
        }


def trained(name: str, draws: int, steps: int, seed: int, data: Data) -> tuple[Errors, float]:
    """Errors after so many steps, and CPU seconds for a thousand of them."""
    make, enumerated = ESTIMATORS[name]
    experiment = build(find_recipe("mixture"), data, seed=seed, enumerate=enumerated)
    optim = pyro.optim.Adam({"lr": experiment.lr})
    svi = SVI(experiment.model, experiment.guide, optim, make(draws))
    pyro.set_rng_seed(seed)
    start, taken, epoch = time.process_time(), 0, 0
    with cpu_threads(1):
        while taken < steps:
            for batch in batches(data.train, BATCH_SIZE, seed=seed, epoch=epoch):
                svi.update(**batch)
                taken += 1
                if taken == steps:
                    break
            epoch += 1
    seconds = 1000 * (time.process_time() - start) / steps
    return errors(experiment.model, experiment.guide, data.test["x"]), seconds


def gathered(found: list[tuple[Errors, float]], seeds: int) -> dict[str, Errors]:
    """By estimator and error, (S, R); "seconds" of the CPU for a thousand steps, (S, 1)."""
    by_name = {}
    for i, name in enumerate(ESTIMATORS):
        own = found[i * seeds : (i + 1) * seeds]
        by_name[name] = {e: np.stack([each[e] for each, _ in own]) for e in ("L2", "KL", "prior")}
        by_name[name]["seconds"] = np.array([[seconds] for _, seconds in own])
    return by_name


def printed(by_name: dict[str, Errors]) -> dict[str, dict[str, object]]:
    """Print the table, and return its numbers."""
    print(f"{'':18}{'L2':>18}{'KL':>18}{'prior':>18}{'CPU s/1000':>14}")
    numbers = {}
    for name, own in by_name.items():
        cells = [
            f"{own[e].mean():9.4f} +- {standard_error(own[e]):.4f}" for e in ("L2", "KL", "prior")
        ]
        print(f"{name:18}" + "".join(f"{c:>18}" for c in cells) + f"{own['seconds'].mean():14.2f}")
        numbers[name] = {e: own[e].mean(1).tolist() for e in own}
    print("\nless that of wake-wake, with 95 % intervals over seeds and rows")
    for name in list(by_name)[1:]:
        intervals = {
            e: paired_interval(by_name[name][e] - by_name["wake-wake"][e]) for e in ("L2", "KL")
        }
        print(f"{name:18}" + "".join(f"   {e} {interval}" for e, interval in intervals.items()))
        numbers[name]["less wake-wake"] = {e: list(i) for e, i in intervals.items()}
    return numbers


def main() -> int:
    """Train all of them, print the table, write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=6000, help="of each training")
    parser.add_argument("--draws", type=int, default=10, help="K")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each estimator")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at once")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    chosen = parser.parse_args()
    start, data = time.perf_counter(), load(find_recipe("mixture").data)
    found = joblib.Parallel(n_jobs=chosen.jobs)(
        joblib.delayed(trained)(name, chosen.draws, chosen.steps, seed, data)
        for name in ESTIMATORS
        for seed in range(chosen.seeds)
    )
    print(f"K = {chosen.draws}, {chosen.steps} steps, {chosen.seeds} seeds\n")
    numbers = printed(gathered(found, chosen.seeds))
    command = (
        f"python benchmarks/wake_sleep_toy.py --steps {chosen.steps} --draws {chosen.draws} "
        f"--seeds {chosen.seeds} --jobs {chosen.jobs}"
    )
    path = chosen.out / "wake_sleep_toy.json"
    write_record(path, command, list(range(chosen.seeds)), by_seed=numbers)
    print(f"\n{time.perf_counter() - start:.0f} s; numbers in {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
