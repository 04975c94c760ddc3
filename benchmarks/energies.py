"""Four energies on the plane: how near does each flow come to the normalizing constant?

    python benchmarks/energies.py                       # table and picture
    python benchmarks/energies.py --quick --energies U1 --flows planar:2 spline:4

The target is p(z) = exp(-U(z)) / Z, U1 on the plane and the others, which have no constant there,
on [-4, 4]^2, into which a sigmoid maps the flow. The guide is a flow of N(0, I) without data, so
that its ELBO is log Z minus KL(q || p); log Z is taken by the midpoint rule. planar:K is a chain of
K planar transforms, spline:K of K autoregressive rational-quadratic splines whose order alternates.
All are trained alike: 256 draws a step, Adam whose rate falls to zero, the energy weighed in from
0.01 to 1 over the first half of the steps. The picture has the target and draws of each flow.
The rate was lowered from 0.005 after the spline's gap on U2 was seen: planar flows would rather
have kept it.

Source: Rezende & Mohamed (2015), arXiv:1505.05770, table 1 and figure 3, and its bound with
annealed weights. Writes energies.json and energies.png.
"""

import argparse
import math
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyro
import torch
from matplotlib.figure import Figure
from pyro.distributions.transforms import planar
from pyro.nn import PyroModule
from recorded import write_record
from torch import Tensor, nn
from torch.distributions.transforms import AffineTransform, SigmoidTransform
from zuko.flows import MaskedAutoregressiveTransform
from zuko.transforms import MonotonicRQSTransform

from ppvae import ELBO, SVI
from ppvae.distributions import FlatPrior
from ppvae.guides import FlowGuide

ROWS = 256
BINS = 16
LIMIT = 4.0


def _first(z: Tensor) -> Tensor:
    return torch.sin(2 * math.pi * z[..., 0] / 4)


def _second(z: Tensor) -> Tensor:
    return 3 * torch.exp(-0.5 * ((z[..., 0] - 1) / 0.6) ** 2)


def _third(z: Tensor) -> Tensor:
    return 3 * torch.sigmoid((z[..., 0] - 1) / 0.3)


def _either(one: Tensor, other: Tensor) -> Tensor:
    return -torch.logaddexp(-0.5 * one**2, -0.5 * other**2)


def ring(z: Tensor) -> Tensor:
    """U1, a ring that is heavy at two places."""
    sides = _either((z[..., 0] - 2) / 0.6, (z[..., 0] + 2) / 0.6)
    return 0.5 * ((z.norm(dim=-1) - 2) / 0.4) ** 2 + sides


def wave(z: Tensor) -> Tensor:
    """U2, a wave."""
    return 0.5 * ((z[..., 1] - _first(z)) / 0.4) ** 2


def bump(z: Tensor) -> Tensor:
    """U3, a wave that parts in two at a bump."""
    off = z[..., 1] - _first(z)
    return _either(off / 0.35, (off + _second(z)) / 0.35)


def step(z: Tensor) -> Tensor:
    """U4, a wave that parts in two for good."""
    off = z[..., 1] - _first(z)
    return _either(off / 0.4, (off + _third(z)) / 0.35)


ENERGIES: dict[str, Callable[[Tensor], Tensor]] = {"U1": ring, "U2": wave, "U3": bump, "U4": step}


class Target(PyroModule):
    """exp(-weight U(z)), not normalized; a row of x is a draw."""

    def __init__(self, energy: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.energy = energy
        self.prior = FlatPrior(2)
        self.register_buffer("weight", torch.ones(()))

    def forward(self, x: Tensor) -> None:
        """Score z for each row of x."""
        with pyro.plate("data", len(x), dim=-1):
            z = pyro.sample("z", self.prior())
            pyro.factor("energy", -self.weight * self.energy(z))


class Constant(nn.Module):
    """Loc and log scale of the base, the same for all rows."""

    def __init__(self) -> None:
        super().__init__()
        self.params = nn.Parameter(torch.zeros(4))

    def forward(self, x: Tensor) -> Tensor:
        """Map rows (B, P) to (B, 4)."""
        return self.params.expand(len(x), 4)


def flow(name: str, boxed: bool) -> FlowGuide:
    """A guide by the name of its flow, such as planar:8, into [-4, 4]^2 or the plane."""
    kind, _, number = name.partition(":")
    # Each remembers the draw that it made, which rounding would not bring back from an edge.
    last = [SigmoidTransform(cache_size=1), AffineTransform(-LIMIT, 2 * LIMIT, cache_size=1)]
    box = last if boxed else []
    if kind == "planar":
        return FlowGuide(Constant(), [*(planar(2) for _ in range(int(number))), *box])
    spline = partial(
        MaskedAutoregressiveTransform,
        2,
        univariate=partial(MonotonicRQSTransform, bound=6.0),
        shapes=((BINS,), (BINS,), (BINS - 1,)),
        hidden_features=(64, 64),
    )
    orders = [torch.tensor([0, 1]), torch.tensor([1, 0])]
    return FlowGuide(Constant(), [*(spline(order=orders[i % 2]) for i in range(int(number))), *box])


def log_constant(energy: Callable[[Tensor], Tensor], half: float, points: int = 2400) -> float:
    """Log Z on a square of so many on each side of 0, by the midpoint rule."""
    width = 2 * half / points
    line = -half + width * (torch.arange(points, dtype=torch.float64) + 0.5)
    z = torch.stack(torch.meshgrid(line, line, indexing="ij"), -1)
    return float((-energy(z)).flatten().logsumexp(0)) + 2 * math.log(width)


def fitted(energy: Callable[[Tensor], Tensor], name: str, steps: int, lr: float) -> FlowGuide:
    """A flow trained on an energy."""
    pyro.set_rng_seed(0)
    model, guide, x = Target(energy), flow(name, energy is not ring), torch.zeros(ROWS, 1)
    svi = SVI(model, guide, partial(torch.optim.Adam, lr=lr), ELBO())
    svi.begin(steps, ROWS)
    for number in range(steps):
        model.weight.fill_(min(1.0, 0.01 + number / (0.5 * steps)))
        svi.update(x)
        for group in svi.optimizer.param_groups if svi.optimizer else ():
            group["lr"] = lr * 0.5 * (1 + math.cos(math.pi * (number + 1) / steps))
    return guide


def bound(energy: Callable[[Tensor], Tensor], guide: FlowGuide) -> tuple[float, float]:
    """The ELBO and its standard error over 100000 draws."""
    with torch.no_grad():
        posterior = guide.distribution(torch.zeros(100_000, 1))
        z = posterior.rsample()
        values = -energy(z) - posterior.log_prob(z)
    return float(values.mean()), float(values.std() / len(values) ** 0.5)


def picture(found: dict[str, dict[str, FlowGuide]]) -> Figure:
    """A row for each energy: the target, then draws of each flow."""
    names = list(next(iter(found.values())))
    size = (2.2 * (len(names) + 1), 2.2 * len(found))
    figure = Figure(figsize=size, layout="constrained")
    panels: Any = figure.subplots(len(found), len(names) + 1, squeeze=False)
    line = torch.linspace(-LIMIT, LIMIT, 200)
    grid = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1)
    extent = (-LIMIT, LIMIT, -LIMIT, LIMIT)
    for row, (label, guides) in zip(panels, found.items(), strict=True):
        density = (-ENERGIES[label](grid)).exp()
        row[0].imshow(density, extent=extent, origin="lower", cmap="Greys")
        row[0].set(ylabel=label, xticks=[], yticks=[])
        for axes, guide in zip(row[1:], guides.values(), strict=True):
            with torch.no_grad():
                z = guide.distribution(torch.zeros(100_000, 1)).rsample()
            count = torch.histogramdd(z, [100, 100], range=[-LIMIT, LIMIT] * 2).hist.T
            axes.imshow(count, extent=extent, origin="lower", cmap="Greys")
            axes.set(xticks=[], yticks=[])
    for axes, title in zip(panels[0], ["target", *names], strict=True):
        axes.set_title(title)
    return figure


def main() -> int:
    """Print a line for each energy and flow, and keep all."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--energies", nargs="+", choices=ENERGIES, default=list(ENERGIES))
    flows = ["planar:2", "planar:8", "planar:32", "spline:4"]
    parser.add_argument("--flows", nargs="+", default=flows)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--quick", action="store_true", help="300 steps, nothing is written")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    steps = 300 if chosen.quick else chosen.steps
    guides: dict[str, dict[str, FlowGuide]] = {}
    lines = []
    for label in chosen.energies:
        energy, guides[label] = ENERGIES[label], {}
        # What U1 leaves outside of [-8, 8]^2 is nothing in float64.
        exact = log_constant(energy, 2 * LIMIT if energy is ring else LIMIT)
        for name in chosen.flows:
            start = time.perf_counter()
            guides[label][name] = fitted(energy, name, steps, chosen.lr)
            value, error = bound(energy, guides[label][name])
            seconds = time.perf_counter() - start
            line = {"energy": label, "flow": name, "log_z": exact, "elbo": value}
            lines.append(line | {"gap": exact - value, "gap_se": error, "seconds": seconds})
            print(
                f"{label} {name:10} log Z {exact:.4f}, ELBO {value:.4f}, gap "
                f"{exact - value:.4f} ± {error:.4f} nats; {seconds:.0f} s",
                flush=True,
            )
    if not chosen.quick:
        command = " ".join(["python benchmarks/energies.py", *sys.argv[1:]])
        write_record(chosen.out / "energies.json", command, [0], steps=steps, found=lines)
        picture(guides).savefig(chosen.out / "energies.png", dpi=100)
    return 0


if __name__ == "__main__":
    sys.exit(main())
