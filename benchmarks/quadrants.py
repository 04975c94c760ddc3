"""Quadrants of MNIST foreseen from the others: what is a conditional log-likelihood worth?

    python benchmarks/quadrants.py                        # 1, 2 and 3 quadrants observed
    python benchmarks/quadrants.py --quick                # digits, a minute

The conditional VAE of Sohn, Lee & Yan (2015) as Pyro's tutorial has it: z ~ N(prior net(x_o)),
x_h ~ Bernoulli(decoder(z)) for the pixels that are missing, q(z | x_o, x_h) of the whole image;
500-500 ReLU, z of 200, Adam at 1e-3, batches of 128. Two numbers stand side by side, in nats per
image:

    log p(x_h | x_o)    the logarithm of a mean of K importance weights, on binarised pixels: in
                        expectation a lower bound, which rises with K to the truth. Proper.
    tutorial's number   minus an ELBO of 10 draws whose "pixels" are grey values under a Bernoulli
                        likelihood: a loss, printed there as CVAE (Monte Carlo). Grey values have no
                        probability under a Bernoulli, so that it is no log-likelihood, and it lies
                        above minus the bound by what the guide lacks.

Beside them a VAE whose masks are drawn anew in each epoch, which fills any hole: there
log p(x_h | x_o) = log p(x) - log p(x_o), a difference of two such estimates, each with an error of
its own (:func:`ppvae.evaluate.conditional_evidence`), neither a lower nor an upper bound.

Published, tutorial: 71.8 / 51.0 / 24.2 with 1 / 2 / 3 quadrants observed. Writes quadrants.json.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from pyro.nn import PyroModule
from recorded import write_record
from torch import Tensor, nn

import ppvae
from ppvae import ELBO, IWAE, Experiment, log_terms
from ppvae.data import Data, Source, load
from ppvae.distributions import BernoulliLikelihood, StandardNormal, masked
from ppvae.evaluate import conditional_evidence, evaluate
from ppvae.guides import GaussianGuide, MaskedGuide
from ppvae.models import VAE
from ppvae.networks import MLP, filled


class Completion(PyroModule):
    """p(z | x_o) p(x_h | z): the pixels that are missing, given the others."""

    def __init__(self, conditional_prior: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.conditional_prior = conditional_prior
        self.decoder = decoder

    def forward(self, x: Tensor, mask: Tensor) -> None:
        """Score what a mask hides of x, (B, P)."""
        seen = self.conditional_prior(filled(x, mask), mask.to(x.dtype))
        loc, log_scale = seen.chunk(2, dim=-1)
        with pyro.plate("data", len(x), dim=-1):
            z = pyro.sample("z", dist.Normal(loc, log_scale.exp()).to_event(1))
            likelihood = dist.Bernoulli(logits=self.decoder(z)).to_event(1)
            pyro.sample("x", masked(likelihood, ~mask), obs=x)


class WholeGuide(PyroModule):
    """q(z | x) of the whole image, whatever a mask hides of it."""

    def __init__(self, whole: GaussianGuide) -> None:
        super().__init__()
        self.whole = whole

    def forward(self, x: Tensor) -> Any:
        """Draw codes z, (..., B, D), for data x, (B, P)."""
        return self.whole(x)


def completion(width: int, latent_dim: int, hidden: list[int], epochs: int) -> Experiment:
    """The tutorial's pair."""
    relu = nn.ReLU
    return Experiment(
        model=Completion(
            MLP([width, width], hidden, 2 * latent_dim, activation=relu),
            MLP(latent_dim, hidden, width, activation=relu),
        ),
        guide=WholeGuide(GaussianGuide(MLP(width, hidden, 2 * latent_dim, activation=relu))),
        estimator=ELBO(),
        epochs=epochs,
        lr=1e-3,
        batch_size=128,
    )


def filler(width: int, latent_dim: int, hidden: list[int], epochs: int) -> Experiment:
    """A VAE that is told what it sees."""
    relu = nn.ReLU
    decoder = MLP(latent_dim, hidden, width, activation=relu)
    encoder = MLP([width, width], hidden, 2 * latent_dim, activation=relu)
    return Experiment(
        model=VAE(decoder, StandardNormal(latent_dim), BernoulliLikelihood()),
        guide=MaskedGuide(encoder),
        estimator=IWAE(5),
        epochs=epochs,
        lr=1e-3,
        batch_size=128,
    )


def tutorial_number(run: ppvae.Run, grey: Tensor, mask: Tensor) -> float:
    """Minus the ELBO of 10 draws on grey pixels, in nats per image: what the tutorial prints."""
    total = 0.0
    with torch.no_grad(), pyro.validation_enabled(False):
        for x, seen in zip(grey.split(500), mask.split(500), strict=True):
            terms = log_terms(run.model, run.guide, {"x": x, "mask": seen}, num_particles=10)
            total -= float(terms.log_weight.mean(0).sum())
    return total / len(grey)


def measured(name: str, observed: int, chosen: argparse.Namespace) -> dict[str, float]:
    """What is found with so many quadrants observed, in nats per image, and seconds."""
    source = Source(name, binarize="dynamic", missing=f"quadrants:{observed}", masks="anew")
    data = load(source)
    x, mask = data.test["x"][: chosen.rows], data.test["mask"][: chosen.rows]
    start = time.perf_counter()
    made = completion(data.data_dim, chosen.latent_dim, chosen.hidden, chosen.epochs)
    run = ppvae.fit(made, data, patience=3, progress=False)
    found = evaluate(run, {"x": x, "mask": mask}, num_particles=chosen.particles)
    grey = data.grey["test"][: chosen.rows]
    return {
        "conditional": float(found["log_evidence_mean"]),
        "conditional_se": float(found["log_evidence_mean_se"]),
        "conditional_elbo": float(found["elbo_mean"]),
        "tutorial": tutorial_number(run, grey, mask),
        "seconds": time.perf_counter() - start,
    }


def by_difference(run: ppvae.Run, x: Tensor, observed: int, data: Data, particles: int) -> Any:
    """The conditional log-likelihood of a VAE for any holes, as a dataset."""
    mask = load(Source(data.name, missing=f"quadrants:{observed}")).test["mask"][: len(x)]
    return conditional_evidence(run, x, mask, num_particles=particles)


def options() -> argparse.Namespace:
    """What the command line asks for, and the networks that go with it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--observed", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--rows", type=int, default=10_000, help="test rows")
    parser.add_argument("--particles", type=int, default=100, help="K of the evaluation")
    parser.add_argument("--quick", action="store_true", help="digits, small networks")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    chosen = parser.parse_args()
    chosen.name, chosen.latent_dim, chosen.hidden = "mnist", 200, [500, 500]
    if chosen.quick:
        chosen.name, chosen.latent_dim, chosen.hidden, chosen.epochs = "digits", 20, [200], 5
    return chosen


def main() -> int:
    """Print a line for each number of quadrants."""
    chosen = options()
    name = chosen.name
    torch.manual_seed(0)
    lines = {}
    for observed in chosen.observed:
        lines[observed] = found = measured(name, observed, chosen)
        print(
            f"{observed} quadrants observed: log p(x_h | x_o) {found['conditional']:.2f} ± "
            f"{found['conditional_se']:.2f} (K = {chosen.particles}; ELBO "
            f"{found['conditional_elbo']:.2f}), the tutorial's number {found['tutorial']:.2f}; "
            f"{found['seconds']:.0f} s",
            flush=True,
        )
    data = load(Source(name, binarize="dynamic", missing="pixels:0.5", masks="anew"))
    made = filler(data.data_dim, chosen.latent_dim // 4, chosen.hidden, chosen.epochs)
    run = ppvae.fit(made, data, progress=False)
    x = data.test["x"][: min(chosen.rows, 1000)]
    for observed in chosen.observed:
        part = by_difference(run, x, observed, data, chosen.particles)
        mean, error = float(part["conditional_mean"]), float(part["conditional_mean_se"])
        lines[observed] |= {"difference": mean, "difference_se": error}
        ess = [float(part[f"{which}_ess"].median()) for which in ("whole", "observed")]
        print(
            f"{observed} quadrants observed, one VAE for any holes: log p(x) - log p(x_o) "
            f"{mean:.2f} ± {error:.2f}; effective draws {ess[0]:.0f} and {ess[1]:.0f} in the "
            "median row",
            flush=True,
        )
    if not chosen.quick:
        command = " ".join(["python benchmarks/quadrants.py", *sys.argv[1:]])
        write_record(chosen.out / "quadrants.json", command, [0], found=lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
