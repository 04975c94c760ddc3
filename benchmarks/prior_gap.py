"""A code whose distribution is not normal: how much of the gap does each learned prior close?

    python benchmarks/prior_gap.py                      # table and picture
    python benchmarks/prior_gap.py --quick --seeds 0    # a first look, nothing is written

The truth is z ~ p(z) on the plane, four unequal clusters or a ring, and x ~ N(W z, 0.2^2 I) in four
dimensions. Both p(z) have mean 0 and covariance I: among Gaussians the standard normal is then the
best, and no linear decoder helps it. The noise is small beside clusters and ring and the columns
of W are orthogonal, so that p(z|x) is nearly a diagonal Gaussian, which is the guide's family; its
mean and scale are a network's. What a pair lacks, its prior lacks. Rows "held" keep the
decoder at the truth; in rows "trained" it is linear, begins there and learns. The scale is held.

The gap is E[log p_true(x) - log p_model(x)] over held-out rows, both by the trapezoid rule on one
grid over z and never by a bound; "mass" is what the grid finds of the learned p(z). "Closed" is 1
minus a prior's gap over that of the standard one; in brackets, what is left of four fifths of the
standard gap after a prior's own, above 0 where it closes 80 %, paired by rows and seeds. Each
seed has data, batches and weights of its own. Writes prior_gap.json and prior_gap.png.
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
from plane_priors import Ring, clusters
from pyro.distributions import TorchDistribution
from recorded import write_record
from torch import Tensor, nn
from zuko.flows import MaskedAutoregressiveTransform
from zuko.transforms import MonotonicRQSTransform

from ppvae import ELBO, SVI
from ppvae.distributions import (
    FlowPrior,
    GaussianLikelihood,
    MixturePrior,
    StandardNormal,
    VampPrior,
)
from ppvae.exact import grid
from ppvae.guides import GaussianGuide
from ppvae.intervals import paired_interval, standard_error
from ppvae.models import VAE
from ppvae.networks import MLP

TRAINING, HELD_OUT, BATCH = 5000, 1000, 250
COMPONENTS = 40
NOISE = 0.2
WEIGHT = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, -1.0]])
LIMIT, SIZE = 4.0, 120


TRUTHS: dict[str, Callable[[], TorchDistribution]] = {"clusters": clusters, "ring": Ring}
PRIORS = ("standard", "mixture", "vamp", "flow")
DECODERS = ("held", "trained")


class Held(nn.Module):
    """The true decoder, which has nothing to learn."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", WEIGHT.clone())

    def forward(self, z: Tensor) -> Tensor:
        """Map codes (..., 2) to (..., 4)."""
        return z @ self.get_buffer("weight").T


def model_of(prior: Callable[[], TorchDistribution], trained: bool) -> VAE:
    """The truth but for its prior."""
    likelihood = GaussianLikelihood(scale=NOISE, learn_scale=False)
    if not trained:
        return VAE(Held(), prior, likelihood)
    decoder = nn.Linear(2, 4)
    with torch.no_grad():
        decoder.weight.copy_(WEIGHT)
        decoder.bias.zero_()
    return VAE(decoder, prior, likelihood)


def prior_of(name: str, guide: GaussianGuide, rows: Tensor) -> nn.Module:
    """A prior by name; a VampPrior begins at rows of the data."""
    if name == "standard":
        return StandardNormal(2)
    if name == "mixture":
        return MixturePrior(2, COMPONENTS)
    if name == "vamp":
        return VampPrior(guide.distribution, rows[:COMPONENTS])
    spline = partial(
        MaskedAutoregressiveTransform,
        2,
        univariate=MonotonicRQSTransform,
        shapes=((8,), (8,), (7,)),
        hidden_features=(64, 64),
    )
    orders = [torch.tensor([0, 1]), torch.tensor([1, 0])]
    return FlowPrior(2, [spline(order=orders[number % 2]).inv for number in range(3)])


def drawn(truth: str, number: int) -> Tensor:
    """Rows x of the truth, (N, 4)."""
    loc = TRUTHS[truth]().sample(torch.Size([number])) @ WEIGHT.T
    return loc + NOISE * torch.randn_like(loc)


def fitted(x: Tensor, name: str, trained: bool, steps: int, lr: float) -> tuple[VAE, GaussianGuide]:
    """A pair trained on rows x, (N, 4), by its ELBO."""
    guide = GaussianGuide(MLP(4, [64, 64], 4))
    model = model_of(prior_of(name, guide, x), trained)
    adam = partial(torch.optim.Adam, lr=lr)
    svi = SVI(model, guide, adam, ELBO(), compile="replay")
    svi.begin(steps, BATCH)
    for number in range(steps):
        svi.update(x[torch.randint(len(x), (BATCH,))])
        for group in svi.optimizer.param_groups if svi.optimizer else ():
            group["lr"] = lr * 0.5 * (1 + math.cos(math.pi * (number + 1) / steps))
    return model, guide


def log_evidence(model: VAE, x: Tensor) -> Tensor:
    """Log p(x) = log sum_z p(z) N(x; f(z), 0.2^2 I) v over the grid, in float64, nats, (N,)."""
    points, log_volume = grid(LIMIT, SIZE, dims=2)
    constant = log_volume - 4 * math.log(NOISE * math.sqrt(2 * math.pi))
    with torch.no_grad():
        loc, x = model.decoder(points) / NOISE, x.double() / NOISE
        # Of -|x - loc|^2 / 2, what depends on z alone; x . loc is a product of matrices.
        of_points = model.prior().log_prob(points) - 0.5 * loc.square().sum(-1)
        parts = [torch.logsumexp(rows @ loc.T + of_points, -1) for rows in x.split(250)]
        return torch.cat(parts) - 0.5 * x.square().sum(-1) + constant


def density(prior: Callable[[], TorchDistribution]) -> tuple[Tensor, float]:
    """p(z) at the points of the grid, (SIZE, SIZE), and the mass that they find."""
    points, log_volume = grid(LIMIT, SIZE, dims=2)
    with torch.no_grad():
        values = prior().log_prob(points).exp()
    return values.reshape(SIZE, SIZE), float(values.sum() * math.exp(log_volume))


def picture(densities: dict[str, dict[str, Tensor]]) -> Figure:
    """A row for each truth: p(z), then the four priors."""
    columns = list(next(iter(densities.values())))
    size = (2.2 * len(columns), 2.3 * len(densities))
    figure = Figure(figsize=size, layout="constrained")
    panels: Any = figure.subplots(len(densities), len(columns), squeeze=False)
    for row, (truth, each) in zip(panels, densities.items(), strict=True):
        for axes, (name, values) in zip(row, each.items(), strict=True):
            extent, most = (-LIMIT, LIMIT, -LIMIT, LIMIT), float(each["truth"].max())
            # The first coordinate runs to the right; all panels of a row share one scale of grey.
            axes.imshow(values.T, extent=extent, origin="lower", cmap="Greys", vmin=0, vmax=most)
            axes.set(xticks=[], yticks=[], xlim=(-3, 3), ylim=(-3, 3))
            axes.set_title(name)
        row[0].set_ylabel(truth)
    return figure


def line_of(name: str, differences: dict[str, Tensor]) -> dict[str, Any]:
    """The gap of a prior and the share that it closes, from log p_true - log p, (S, N)."""
    own, standard = differences[name].numpy(), differences["standard"].numpy()
    line = {"prior": name, "gap": float(own.mean()), "gap_se": standard_error(own)}
    if name == "standard":
        return line
    margin = paired_interval(0.2 * standard - own)
    return line | {
        "closed": 1 - line["gap"] / float(standard.mean()),
        "closed_by_seed": (1 - own.mean(1) / standard.mean(1)).tolist(),
        "beyond_80": list(margin),
    }


def shown(line: dict[str, Any]) -> str:
    """A line of the table."""
    text = f"{line['truth']:9} {line['decoder']:8} {line['prior']:9}"
    text += f" {line['gap']:.4f} ± {line['gap_se']:.4f}   {line['mass']:.4f}"
    if "closed" not in line:
        return text
    value, low, high = line["beyond_80"]
    each = ", ".join(f"{share:.1%}" for share in line["closed_by_seed"])
    return f"{text}   {line['closed']:.1%} ({each})   {value:+.3f} [{low:+.3f}, {high:+.3f}]"


def cells(
    truth: str, decoder: str, chosen: argparse.Namespace, steps: int, panels: dict[str, Tensor]
) -> list[dict[str, Any]]:
    """The lines of one truth and decoder over all seeds; densities of the first go to panels."""
    differences: dict[str, list[Tensor]] = {name: [] for name in PRIORS}
    masses: dict[str, list[float]] = {name: [] for name in PRIORS}
    panels["truth"] = density(TRUTHS[truth])[0]
    for seed in chosen.seeds:
        pyro.set_rng_seed(seed)
        x, held_out = drawn(truth, TRAINING), drawn(truth, HELD_OUT)
        exact = log_evidence(model_of(TRUTHS[truth], trained=False).double(), held_out)
        for name in PRIORS:
            pyro.set_rng_seed(seed)
            model, _ = fitted(x, name, decoder == "trained", steps, chosen.lr)
            model.double()
            differences[name].append(exact - log_evidence(model, held_out))
            values, mass = density(model.prior)
            masses[name].append(mass)
            panels.setdefault(name, values)
    stacked = {name: torch.stack(each) for name, each in differences.items()}
    # The mass of the seed that is farthest from 1.
    worst = {name: max(each, key=lambda mass: abs(mass - 1)) for name, each in masses.items()}
    named = {"truth": truth, "decoder": decoder}
    return [named | {"mass": worst[name]} | line_of(name, stacked) for name in PRIORS]


def main() -> int:
    """Print a line for each truth, decoder and prior, and keep all."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--decoders", nargs="+", choices=DECODERS, default=list(DECODERS))
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--lr", type=float, default=5e-3)
    parser.add_argument("--quick", action="store_true", help="300 steps, nothing is written")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    steps, start = 300 if chosen.quick else chosen.steps, time.perf_counter()
    densities: dict[str, dict[str, Tensor]] = {}
    lines = []
    print("truth     decoder  prior     gap, nats         mass     closed (by seed)   beyond 80 %")
    for decoder in chosen.decoders:
        for truth in TRUTHS:
            panels: dict[str, Tensor] = {}
            for line in cells(truth, decoder, chosen, steps, panels):
                lines.append(line)
                print(shown(line), flush=True)
            densities.setdefault(truth, panels)
    seconds = time.perf_counter() - start
    if not chosen.quick:
        command = " ".join(["python benchmarks/prior_gap.py", *sys.argv[1:]])
        found = {"steps": steps, "lr": chosen.lr, "seconds": seconds, "found": lines}
        write_record(chosen.out / "prior_gap.json", command, chosen.seeds, **found)
        picture(densities).savefig(chosen.out / "prior_gap.png", dpi=100)
    return 0


if __name__ == "__main__":
    sys.exit(main())
