"""What does each objective make of a posterior that no Gaussian fits? Against quadrature.

    python benchmarks/inclusive_kl.py

The guide is one Gaussian. KL(p || q) is least where it has the mean and standard deviation of p;
KL(q || p), which the ELBO lowers, is least at one mode of a bimodal p, and too narrow. The targets
are posteriors p(z|x) of one datum:

    skewed     z ~ N(1/2, 2^2), x = 1 with probability Phi(5 (z - 1/2) / 2): skew-normal, of
               location 1/2, scale 2 and shape 5
    bimodal    z ~ N(0, 1), x ~ N(z^2, 0.3^2) at x = 2

Wake-phi (``rws:K``) tends to the moments of p as K grows; score climbing (``msc:K``, K fresh draws
beside the retained one) has them for every K. Both optima and all columns are integrals on a grid,
exact to rounding. What is fitted is the mean of the parameters over the second half of each
training, mirrored to the right where p is symmetric; +- is the standard error of the mean of the
columns over seeds.

Writes inclusive_kl.png and inclusive_kl.json into --out.

Source of the skewed target: Naesseth, Lindsten & Blei (2020), arXiv:2003.10374.
"""

import argparse
import math
import sys
import time
from pathlib import Path
from typing import NamedTuple

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pyro
import pyro.distributions as dist
import torch
from matplotlib import pyplot
from pyro.nn import PyroModule
from recorded import write_record
from torch import Tensor, nn

from ppvae import ELBO, SVI, Estimator
from ppvae.estimators import ReweightedWakeSleep, ScoreClimbing
from ppvae.exact import ExactSum, grid
from ppvae.guides import GaussianGuide
from ppvae.models import Squared
from ppvae.threads import cpu_threads

ROWS = 50  # copies of the datum: as many independent draws, and chains, in a step
LR = 0.05
POINTS, LOG_VOLUME = grid(limit=12.0, size=4801)
TRAINED = ("ELBO", "rws:2", "rws:5", "rws:20", "rws:100", "msc:1", "msc:9")
# By row of a table, the columns' values and standard errors.
Rows = dict[str, dict[str, list[float]]]
COLUMNS = ("mean", "sd", "P(z < c)", "KL(q||p)", "KL(p||q)")


class Skewed(PyroModule):
    """A code seen through its side of 1/2: p(z|x = 1) is skew-normal."""

    def forward(self, x: Tensor) -> None:
        """Score data x, (B, 1)."""
        with pyro.plate("data", len(x), dim=-1):
            z = pyro.sample("z", dist.Normal(x.new_full((1,), 0.5), 2.0).to_event(1))
            side = 2.5 * (z - 0.5)
            logits = torch.special.log_ndtr(side) - torch.special.log_ndtr(-side)
            pyro.sample("x", dist.Bernoulli(logits=logits).to_event(1), obs=x)


class Constant(nn.Module):
    """An encoder that reads nothing: loc and log scale, the same for all rows."""

    def __init__(self, loc: float, log_scale: float) -> None:
        super().__init__()
        self.params = nn.Parameter(torch.tensor([loc, log_scale]))

    def forward(self, x: Tensor) -> Tensor:
        """The two, for each row, (B, 2)."""
        return self.params.expand(len(x), 2)


class Target(NamedTuple):
    """A model whose parameters stay as they are, its datum, and where its mass is divided."""

    model: nn.Module
    datum: float
    cut: float

    @property
    def x(self) -> Tensor:
        """The datum, (1, 1)."""
        return torch.full((1, 1), self.datum)

    def exact(self, guide: GaussianGuide) -> ExactSum:
        """Its integrals with a guide, by quadrature."""
        return ExactSum(self.model, guide, {"z": POINTS}, LOG_VOLUME)


TARGETS = {
    "skewed": lambda: Target(Skewed(), 1.0, 0.5),
    "bimodal": lambda: Target(Squared(0.3).requires_grad_(False), 2.0, 0.0),
}


def estimator_named(name: str) -> Estimator:
    """The estimator of a row of the table."""
    kind, _, draws = name.partition(":")
    if kind == "ELBO":
        return ELBO(50)
    makers = {"rws": ReweightedWakeSleep, "msc": lambda k: ScoreClimbing(k, ROWS)}
    return makers[kind](int(draws))


def trained(target: Target, name: str, steps: int, seed: int) -> Tensor:
    """Loc and log scale, averaged over the second half of a training, (2,)."""
    pyro.set_rng_seed(seed)
    guide = GaussianGuide(Constant(0.5 * float(torch.randn(())), 0.0))
    svi = SVI(target.model, guide, pyro.optim.ClippedAdam(decaying(steps)), estimator_named(name))
    fields = {"x": target.x.expand(ROWS, 1), "index": torch.arange(ROWS)}
    total = torch.zeros(2)
    for step in range(steps):
        svi.update(**fields)
        if step >= steps // 2:
            total += guide.encoder.params.detach()
    return total / (steps - steps // 2)


def decaying(steps: int) -> dict[str, float]:
    """Adam's rate falls to a tenth over the run."""
    return {"lr": LR, "lrd": 0.1 ** (1 / steps), "clip_norm": math.inf}


def best(target: Target, inclusive: bool) -> Tensor:
    """Loc and log scale at which KL(p || q), or KL(q || p), is least, by quadrature, (2,)."""
    # On the side of the mode on the right, where there are two.
    guide = GaussianGuide(Constant(1.5, -1.0))
    exact = target.exact(guide)
    optimizer = torch.optim.LBFGS(
        guide.parameters(), max_iter=500, tolerance_grad=1e-12, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (exact.cross_entropy if inclusive else lambda x: -exact.elbo(x))(target.x).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return guide.encoder.params.detach()


def judged(target: Target, params: Tensor) -> list[float]:
    """The columns of a guide with these parameters."""
    guide = GaussianGuide(Constant(*params.tolist()))
    exact = target.exact(guide)
    with torch.no_grad():
        below = float(dist.Normal(params[0], params[1].exp()).cdf(torch.tensor(target.cut)))
        reverse = float(exact.log_evidence(target.x) - exact.elbo(target.x))
        return [*of_q(params), below, reverse, float(exact.inclusive_kl(target.x))]


def of_q(params: Tensor) -> tuple[float, float]:
    """Mean and standard deviation."""
    return float(params[0]), float(params[1].exp())


def of_p(target: Target) -> list[float]:
    """The columns of p itself: mean, standard deviation, mass below the cut, and no divergence."""
    with torch.no_grad():
        mass = target.exact(GaussianGuide(Constant(0.0, 0.0))).posterior(target.x)[:, 0]
    z = POINTS[:, 0]
    mean = (mass * z).sum()
    # The point of the grid on the cut belongs to both sides.
    below = mass[z < target.cut].sum() + mass[z == target.cut].sum() / 2
    return [float(mean), float((mass * (z - mean) ** 2).sum().sqrt()), float(below), 0.0, 0.0]


def table(target: Target, steps: int, seeds: list[int]) -> Rows:
    """By row: the columns and their standard errors."""
    none = [0.0] * len(COLUMNS)
    found = {"p itself": {"value": of_p(target), "error": none}}
    for name, inclusive in (("least KL(p||q)", True), ("least KL(q||p)", False)):
        found[name] = {"value": judged(target, best(target, inclusive)), "error": none}
    for name in TRAINED:
        each = [judged(target, trained(target, name, steps, seed)) for seed in seeds]
        columns = np.array(each)
        if target.cut == 0:
            columns = on_the_right(columns)
        error = columns.std(0, ddof=1) / math.sqrt(len(seeds)) if len(seeds) > 1 else none
        found[name] = {"value": columns.mean(0).tolist(), "error": list(map(float, error))}
    return found


def on_the_right(columns: np.ndarray) -> np.ndarray:
    """Fits on either side as if all were on the right: p is symmetric."""
    columns = columns.copy()
    left = columns[:, 0] < 0
    columns[left, 0] *= -1
    columns[left, 2] = 1 - columns[left, 2]
    return columns


def printed(name: str, target: Target, rows: Rows) -> None:
    """Print a target's table."""
    print(f"\n{name}, c = {target.cut:g}; the first three rows by quadrature")
    print(f"{'':16}" + "".join(f"{column:>19}" for column in COLUMNS))
    for label, row in rows.items():
        cells = []
        for value, error in zip(row["value"], row["error"], strict=True):
            cells.append(f"{value:9.4f}" + (f" +- {error:.4f}" if error else " " * 10))
        print(f"{label:16}" + "".join(f"{cell:>19}" for cell in cells))


def draw(found: dict[str, Rows], targets: dict[str, Target], path: Path) -> None:
    """Each target's density, and those fitted to it."""
    figure, axes = pyplot.subplots(1, len(found), figsize=(11, 4), layout="constrained")
    z = POINTS[:, 0].numpy()
    shown = {"ELBO": "C3", "rws:2": "C0", "rws:100": "C2", "msc:1": "C1"}
    for axis, (name, rows) in zip(axes, found.items(), strict=True):
        with torch.no_grad():
            guide = GaussianGuide(Constant(0.0, 0.0))
            mass = targets[name].exact(guide).posterior(targets[name].x)[:, 0]
        axis.fill_between(z, (mass / math.exp(LOG_VOLUME)).numpy(), color="0.85", label="p(z|x)")
        for label, colour in shown.items():
            mean, deviation = rows[label]["value"][:2]
            density = (
                np.exp(-(((z - mean) / deviation) ** 2) / 2) / deviation / math.sqrt(2 * np.pi)
            )
            style = "--" if label == "msc:1" else "-"
            axis.plot(z, density, style, color=colour, label=label)
        mean, deviation = rows["p itself"]["value"][:2]
        axis.set_xlim(mean - 3.5 * deviation, mean + 3.5 * deviation)
        axis.set_ylim(bottom=0)
        axis.set(title=name, xlabel="z", ylabel="density")
        axis.legend(frameon=False)
    figure.savefig(path, dpi=130)


def main() -> int:
    """Fit all of them, print the tables, write picture and numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=600, help="of each training")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each estimator")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()
    start, seeds = time.perf_counter(), list(range(arguments.seeds))
    torch.set_default_dtype(torch.float64)
    targets = {name: make() for name, make in TARGETS.items()}
    found = {}
    with cpu_threads(1):
        for name, target in targets.items():
            found[name] = table(target, arguments.steps, seeds)
            printed(name, target, found[name])
        arguments.out.mkdir(parents=True, exist_ok=True)
        draw(found, targets, arguments.out / "inclusive_kl.png")
        command = (
            f"python benchmarks/inclusive_kl.py --steps {arguments.steps} --seeds {len(seeds)}"
        )
        write_record(
            arguments.out / "inclusive_kl.json", command, seeds, columns=COLUMNS, targets=found
        )
    print(f"\n{time.perf_counter() - start:.0f} s; picture and numbers in {arguments.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
