"""How well is half of a table filled in? Breast cancer measurements, standardised, 50 % missing.

    python benchmarks/missing.py
    python benchmarks/missing.py --seeds 0 --epochs 100          # a first look

The protocol of Mattei & Frellsen (2019) and their notebooks: 569 rows of 30 measurements, each
standardised; half of the values missing completely at random, other ones for each seed; a VAE with
a Student-t likelihood, D = 10, two hidden layers of 128 ReLU each way, orthogonal weights at first,
IWAE with K = 20, Adam at 1e-3, batches of 64; the rows that are trained on are filled in with the
self-normalised mean of L draws. The error is the mean square over missing values; the mean of each
column has about 1. The notebooks have .2867, the paper's table .280 (.021), missForest .291. Beside
it, on the same holes: scikit-learn's IterativeImputer (each column regressed on the others) and
the mean. Writes missing.json.

Source: Mattei & Frellsen (2019), MIWAE, arXiv:1812.02633.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from recorded import write_record
from torch import Tensor, nn

import ppvae
from ppvae import IWAE, Experiment
from ppvae.data import SPLITS, from_arrays, load
from ppvae.distributions import GaussianLikelihood, StandardNormal, StudentTLikelihood
from ppvae.guides import GaussianGuide
from ppvae.models import VAE
from ppvae.networks import MLP
from ppvae.threads import cpu_threads


def rows() -> Tensor:
    """The standardised table, (569, 30)."""
    data = load("breast_cancer")
    return torch.cat([data.splits[split]["x"] for split in SPLITS])


def experiment(width: int, epochs: int, gaussian: bool) -> Experiment:
    """The pair of the notebooks, whose encoder sees 0 in holes."""
    latent_dim, hidden = 10, [128, 128]
    out = width if gaussian else 3 * width
    likelihood = GaussianLikelihood(learn_scale=True) if gaussian else StudentTLikelihood()
    decoder = MLP(latent_dim, hidden, out, activation=nn.ReLU)
    encoder = MLP(width, hidden, 2 * latent_dim, activation=nn.ReLU)
    for layer in (*decoder.modules(), *encoder.modules()):
        if isinstance(layer, nn.Linear):
            nn.init.orthogonal_(layer.weight)
    return Experiment(
        model=VAE(decoder, StandardNormal(latent_dim), likelihood),
        guide=GaussianGuide(encoder),
        estimator=IWAE(20),
        epochs=epochs,
        lr=1e-3,
        batch_size=64,
    )


def filled_in(x: Tensor, mask: Tensor, seed: int, chosen: argparse.Namespace) -> Tensor:
    """The table with its holes filled, (569, 30)."""
    torch.manual_seed(seed)
    made = experiment(x.shape[1], chosen.epochs, chosen.gaussian)
    # All rows train and are filled in; the bound on a few of them stands for one on others.
    arrays = {"train": x, "mask_train": mask, "test": x[:64], "mask_test": mask[:64]}
    arrays |= {"valid": x[:64], "mask_valid": mask[:64]}
    run = ppvae.fit(made, from_arrays(arrays), seed=seed, progress=False)
    found = ppvae.impute(run, x, mask, num_draws=chosen.draws)
    print(f"  effective draws in the median row: {float(found['ess'].median()):.0f}", flush=True)
    return torch.from_numpy(found["x_mean"].values)


def regressed(x: Tensor, mask: Tensor) -> Tensor:
    """The table filled in by scikit-learn's IterativeImputer."""
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer

    holes = torch.where(mask, x, torch.nan).numpy().astype(np.float64)
    return torch.from_numpy(IterativeImputer(max_iter=20, tol=1e-2).fit_transform(holes))


def main() -> int:
    """Print a line for each seed and the mean over seeds."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=500)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--gaussian", action="store_true", help="one learned scale, no tails")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    chosen = parser.parse_args()
    torch.set_default_dtype(torch.float32)
    x, found, seconds = rows(), [], []
    with cpu_threads(1):
        for seed in chosen.seeds:
            mask = torch.rand(x.shape, generator=torch.Generator().manual_seed(seed)) >= 0.5
            start = time.perf_counter()
            ours = filled_in(x, mask, seed, chosen)
            seconds.append(time.perf_counter() - start)
            mean = torch.where(mask, x, 0.0).sum(0) / mask.sum(0)
            fills = {"ours": ours, "regression": regressed(x, mask), "mean": mean.expand_as(x)}
            found.append({n: float((f - x)[~mask].square().mean()) for n, f in fills.items()})
            words = ", ".join(f"{name} {error:.4f}" for name, error in found[-1].items())
            print(f"seed {seed}: {words}; {seconds[-1]:.0f} s", flush=True)
    for name in found[0]:
        errors: NDArray[np.float64] = np.array([each[name] for each in found])
        spread = f" (sd {errors.std(ddof=1):.4f})" if len(errors) > 1 else ""
        print(f"{name:<12} mean squared error {errors.mean():.4f}{spread}")
    command = "python benchmarks/missing.py " + " ".join(sys.argv[1:])
    out = chosen.out / "missing.json"
    write_record(out, command.strip(), chosen.seeds, errors=found, seconds_per_seed=seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
