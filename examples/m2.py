"""Few labels, many rows: what do the rows without a label teach a classifier?

    ppvae fit m2                                        # digits, 50 labels
    ppvae fit m2 --labels 100 --label-seed 3
    ppvae fit m2 --how drawn                            # y drawn: score function; or soft: Gumbel
    python -m ppvae.examples.m2 --out m2.png            # accuracy against the number of labels

The last command trains four ways on the same rows and prints the accuracy of q(y|x) on 300 test
digits, mean and standard deviation over two draws of the labels; 87 s on one core:

    labels alone      20: 0.603 +- 0.009  50: 0.700 +- 0.071  200: 0.835 +- 0.031
    y summed out      20: 0.732 +- 0.021  50: 0.792 +- 0.035  200: 0.843 +- 0.009
    y drawn, scored   20: 0.638 +- 0.012  50: 0.708 +- 0.064  200: 0.763 +- 0.005
    soft y, Gumbel    20: 0.683 +- 0.028  50: 0.757 +- 0.052  200: 0.822 +- 0.031

"Labels alone" is the same network q(y|x) trained by their cross-entropy. The digits are binarised
anew in each epoch, and test digits once, which costs accuracy.

Source: Kingma et al. (2014), arXiv:1406.5298 (M2); Jang, Gu & Poole (2017), arXiv:1611.01144.
"""

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

import ppvae
from ppvae import ELBO, Experiment, Pair, ScoreFunction, SemiSupervised
from ppvae.capture import Shared
from ppvae.data import Data, Source, count_classes, load
from ppvae.distributions import (
    BernoulliLikelihood,
    CategoricalPrior,
    GumbelLabels,
    PartlyObserved,
    RelaxedPrior,
    StandardNormal,
)
from ppvae.estimators import MovingAverage
from ppvae.experiment import build, find_recipe
from ppvae.guides import M2Guide
from ppvae.models import M2
from ppvae.networks import MLP
from ppvae.plot import accuracies

__all__ = ["DATA", "m2"]

DATA = Source("digits", labels=50)
# Draws of labels before this one were used to choose the settings.
FIRST_DRAW = 10
WAYS: dict[str, dict[str, Any]] = {
    "labels alone": {"beta": 0.0},
    "y summed out": {"how": "summed"},
    "y drawn, scored": {"how": "drawn"},
    "soft y, Gumbel": {"how": "soft"},
}


def m2(
    data: Data,
    latent_dim: int = 8,
    hidden: int = 100,
    how: str = "summed",
    alpha: float = 1.0,
    beta: float = 1.0,
    labelled: int = 20,
) -> Experiment:
    """M2 on binary rows of which few have a label.

    Args:
        data: binary rows with labels, (N, P), -1 where not known.
        latent_dim: D, width of the code z.
        hidden: width of the one hidden layer of each network.
        how: what becomes of y where it is not known: summed, drawn or soft.
        alpha: weight of the labels' cross-entropy, for each labelled row of a batch.
        beta: weight of rows without a label; 0 trains q(y|x) on the labels alone.
        labelled: rows of each batch that have a label, of 100.
    """
    if how not in ("summed", "drawn", "soft"):
        raise ValueError(f"how must be summed, drawn or soft; got {how!r}.")
    classes = count_classes(data, "m2")
    soft, ones = how == "soft", torch.ones(classes)
    model = M2(
        MLP([latent_dim, classes], [hidden], data.data_dim, activation=nn.ReLU),
        StandardNormal(latent_dim),
        BernoulliLikelihood(),
        RelaxedPrior(ones) if soft else CategoricalPrior(ones),
    )
    guide = M2Guide(
        MLP(data.data_dim, [hidden], classes, activation=nn.ReLU),
        MLP([data.data_dim, classes], [hidden], 2 * latent_dim, activation=nn.ReLU),
        labels=GumbelLabels() if soft else PartlyObserved,
        enumerated=how == "summed",
    )
    gradient = ScoreFunction(MovingAverage()) if how == "drawn" else None
    some = bool((data.train["y"] < 0).any())
    return Experiment(
        model=model,
        guide=guide,
        estimator=SemiSupervised(alpha, beta, of=ELBO(gradient=gradient)),
        epochs=60 if data.num_train < 10_000 else 20,
        lr=2e-3,
        batch_size=100,
        labelled_per_batch=labelled if some else None,
    )


def accuracy(data: Data, shared: Shared, epochs: int | None, **options: Any) -> float:
    """Train one way, and say how often the likeliest label of q(y|x) is right on test rows."""
    experiment = build(find_recipe("m2"), data, **options)
    ppvae.fit(experiment, data, epochs=epochs, threads=1, compile=shared, progress=False)
    guide: Any = experiment.guide
    if options.get("how", "summed") == "summed":
        pair = Pair(experiment.model, guide)
        return ppvae.predict(pair, data.test, num_particles=1).guide.accuracy
    with torch.no_grad():
        found = guide.classifier(data.test["x"]).argmax(-1)
    return float((found == data.test["y"]).double().mean())


def _show() -> None:
    parser = argparse.ArgumentParser(description="Accuracy against the number of labels.")
    parser.add_argument("--out", type=Path, default=Path("m2.png"))
    parser.add_argument("--draws", type=int, default=2, help="draws of labels (default: 2)")
    parser.add_argument("--quick", action="store_true", help="5 epochs, one draw of labels")
    chosen = parser.parse_args()
    draws, epochs = (1, 5) if chosen.quick else (chosen.draws, None)
    numbers, start = (20, 50, 200), time.perf_counter()
    found: dict[str, dict[int, list[float]]] = {}
    for name, options in WAYS.items():
        shared = Shared("auto")
        found[name] = {
            number: [
                accuracy(load("digits", labels=number, label_seed=seed), shared, epochs, **options)
                for seed in range(FIRST_DRAW, FIRST_DRAW + draws)
            ]
            for number in numbers
        }
        print(
            f"{name:16}", *(_text(number, each) for number, each in found[name].items()), flush=True
        )
    accuracies(found, baseline="labels alone").savefig(chosen.out, dpi=120)
    print(f"wrote {chosen.out} after {time.perf_counter() - start:.0f} s")


def _text(number: int, values: list[float]) -> str:
    spread = f" +- {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f" {number}: {statistics.mean(values):.3f}{spread}"


if __name__ == "__main__":
    _show()
