"""MNIST with few labels: what do the rows without a label add to one and the same q(y|x)?

    python benchmarks/few_labels.py                              # 3000 and 100 labels, three draws
    python benchmarks/few_labels.py --labels 1000 600
    python benchmarks/few_labels.py --labels 3000 --label-seeds 0 --epochs 2    # a first look

M2 on 50000 training rows, binarised anew in each epoch; q(y|x) is convolutional. Each cell is
trained twice, with all rows and with the labels alone (beta = 0, where q(y|x) has their
cross-entropy and nothing else), and scored on the 10000 test rows by q(y|x) and, with all rows, by
Bayes' rule as well. No choice is made on test rows: settings are those of the options, the same
in every cell, and the last epoch counts. A first look (draw 0, 6 epochs, alpha = 1) has
0.627 with all rows and 0.775 from the labels alone with 100 labels, 0.874 and 0.958 with 3000: the
clusters that M2 finds by itself are not the digits, and only a larger alpha keeps q(y|x) with them.
Pyro's best row is .958 / .949 / .944 / .932
with 3000 / 1000 / 600 / 100 labels. Writes few_labels.json after each cell.

Source: Kingma et al. (2014), arXiv:1406.5298, table 1; Pyro's tutorial ss-vae.
"""

import argparse
import sys
import time
from pathlib import Path

import torch
from recorded import write_record
from torch import nn

import ppvae
from ppvae import Experiment, SemiSupervised
from ppvae.capture import Shared
from ppvae.data import Data, load
from ppvae.distributions import BernoulliLikelihood, CategoricalPrior, StandardNormal
from ppvae.generators import generators_put_back
from ppvae.guides import M2Guide
from ppvae.models import M2
from ppvae.networks import MLP, ConvEncoder

CLASSES = 10


class Classifier(nn.Module):
    """Two convolutions, dropout in training, and a hidden layer: logits from rows, (..., 784)."""

    def __init__(self, channels: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.convolutions = ConvEncoder((1, 28, 28), hidden, channels)
        self.head = nn.Sequential(nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, CLASSES))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map rows x, (B, 784), to logits, (B, 10)."""
        out: torch.Tensor = self.head(self.convolutions(x))
        return out


def experiment(data: Data, chosen: argparse.Namespace, beta: float) -> Experiment:
    """M2 with one q(y|x), which rows without a label teach where beta is 1."""
    hidden, code = [chosen.hidden], chosen.latent_dim
    with generators_put_back():
        torch.manual_seed(0)
        classifier = Classifier(chosen.channels, 128, chosen.dropout)
        encoder = MLP([784, CLASSES], hidden, 2 * code, activation=nn.Softplus)
        decoder = MLP([code, CLASSES], hidden, 784, activation=nn.Softplus)
    model = M2(
        decoder, StandardNormal(code), BernoulliLikelihood(), CategoricalPrior.uniform(CLASSES)
    )
    return Experiment(
        model=model,
        guide=M2Guide(classifier, encoder),
        estimator=SemiSupervised(chosen.alpha, beta),
        epochs=chosen.epochs,
        lr=chosen.lr,
        batch_size=100,
        labelled_per_batch=chosen.labelled,
    )


def cell(
    labels: int, seed: int, chosen: argparse.Namespace, shared: dict[float, Shared]
) -> dict[str, float]:
    """Accuracies of one draw of the labels, and how long their trainings took."""
    data = load("mnist", labels=labels, label_seed=seed)
    found: dict[str, float] = {"labels": labels, "label_seed": seed}
    for name, beta in (("alone", 0.0), ("all_rows", 1.0)):
        start = time.perf_counter()
        run = ppvae.fit(
            experiment(data, chosen, beta),
            data,
            threads=chosen.threads,
            compile=shared[beta],
            progress=False,
        )
        found[f"{name}_seconds"] = time.perf_counter() - start
        predicted = ppvae.predict(run, data.test, num_particles=1 if beta == 0 else 20)
        found[name] = predicted.guide.accuracy
        if beta:
            found["all_rows_by_bayes"] = predicted.bayes.accuracy
    return found


def main() -> int:
    """Train the cells asked for, print each, and keep all."""
    parser = argparse.ArgumentParser(description="MNIST with few labels.")
    parser.add_argument("--labels", type=int, nargs="+", default=[3000, 100])
    parser.add_argument("--label-seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--latent-dim", type=int, default=30)
    parser.add_argument("--hidden", type=int, default=300)
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--dropout", type=float, default=0.3)
    parser.add_argument("--alpha", type=float, default=30.0)
    parser.add_argument("--labelled", type=int, default=20, help="rows of 100 with a label")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    chosen = parser.parse_args()
    cells, shared = [], {beta: Shared("auto") for beta in (0.0, 1.0)}
    settings = {name: value for name, value in vars(chosen).items() if name != "out"}
    for labels in chosen.labels:
        for seed in chosen.label_seeds:
            cells.append(cell(labels, seed, chosen, shared))
            print({name: round(value, 4) for name, value in cells[-1].items()}, flush=True)
            write_record(
                chosen.out / "few_labels.json",
                f"python benchmarks/few_labels.py {' '.join(sys.argv[1:])}".strip(),
                chosen.label_seeds,
                settings=settings,
                cells=cells,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
