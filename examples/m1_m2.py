"""M2 on the codes of a VAE: does a trained code need fewer labels?

    ppvae fit m1-m2                                     # digits, 50 labels
    ppvae fit m1-m2 --data mnist --labels 100 --labelled 5 --m1-epochs 40
    ppvae fit m1-m2 --data mnist --labels 100 --labelled 5 --m1 runs/vae    # a VAE trained before
    python -m ppvae.examples.m1_m2                      # accuracy beside M2's, and by Bayes' rule

M1 is a VAE trained without labels in the first part of the command, its KL raised from zero; its
networks are then held fixed, and M2 explains draws of its codes instead of pixels. What helps on
MNIST: a code all of whose coordinates say something of the data (KL warm-up, few of them), few
labelled rows in a batch, so that their clusters form before they are learned by heart, and many
passes. `benchmarks/few_labels.py` has the figures, with the labels alone beside them.

Source: Kingma et al. (2014), arXiv:1406.5298, section 2 on the stacked model.
"""

import argparse
from typing import Any

import torch
from torch import nn

import ppvae
from ppvae import BetaELBO, Experiment, Schedule, SemiSupervised
from ppvae.data import Data, Source, count_classes, load
from ppvae.distributions import BernoulliLikelihood, CategoricalPrior, StandardNormal
from ppvae.experiment import build, find_recipe
from ppvae.guides import GaussianGuide, M1M2Guide
from ppvae.models import M1M2, VAE
from ppvae.networks import MLP, Frozen

__all__ = ["DATA", "m1_m2"]

DATA = Source("digits", labels=50)
FEW = 10_000


def m1_m2(
    data: Data,
    code_dim: int = 30,
    latent_dim: int = 10,
    hidden: int = 500,
    alpha: float = 10.0,
    beta: float = 1.0,
    labelled: int = 20,
    m1: str = "",
    m1_epochs: int = 100,
) -> Experiment:
    """M2 on the codes of a VAE that was trained before and is held fixed.

    Args:
        data: binary rows with labels, (N, P), -1 where not known.
        code_dim: D1, width of M1's code.
        latent_dim: D2, width of M2's code.
        hidden: width of the hidden layers: one in each network of M2, two in those of M1.
        alpha: weight of the labels' cross-entropy, for each labelled row of a batch.
        beta: weight of rows without a label; 0 trains q(y|z1) on the labels alone.
        labelled: rows of each batch that have a label, of 100.
        m1: folder of a run of `ppvae fit vae` to take M1 from; trained here where it is left out.
        m1_epochs: passes over the data for an M1 that is trained here.
    """
    classes = count_classes(data, "m1-m2")
    model, guide = _loaded(m1) if m1 else _trained(data, code_dim, hidden, m1_epochs)
    code_dim = model.prior.loc.shape[0]
    return Experiment(
        model=M1M2(
            Frozen(model.decoder),
            BernoulliLikelihood(),
            MLP([latent_dim, classes], [hidden], 2 * code_dim, activation=nn.ReLU),
            StandardNormal(latent_dim),
            CategoricalPrior(torch.ones(classes)),
        ),
        guide=M1M2Guide(
            Frozen(guide.encoder),
            MLP(code_dim, [hidden], classes, activation=nn.ReLU),
            MLP([code_dim, classes], [hidden], 2 * latent_dim, activation=nn.ReLU),
        ),
        estimator=SemiSupervised(alpha, beta),
        epochs=60 if data.num_train < FEW else 40,
        lr=1e-3,
        batch_size=100,
        labelled_per_batch=labelled if bool((data.train["y"] < 0).any()) else None,
    )


def _trained(data: Data, code_dim: int, hidden: int, epochs: int) -> tuple[Any, Any]:
    """A VAE trained on the rows without their labels."""
    decoder = MLP(code_dim, [hidden, hidden], data.data_dim, activation=nn.ReLU)
    encoder = MLP(data.data_dim, [hidden, hidden], 2 * code_dim, activation=nn.ReLU)
    model = VAE(decoder, StandardNormal(code_dim), BernoulliLikelihood())
    guide = GaussianGuide(encoder)
    warmed = BetaELBO(Schedule(0.0, 1.0, fraction=0.5), analytic_kl=True)
    rows = 64 if data.num_train < FEW else 200
    pair = Experiment(model, guide, warmed, epochs=epochs, lr=2e-3, batch_size=rows)
    # On large data it takes minutes, which should not pass in silence.
    ppvae.fit(pair, data, device="cpu", progress=data.num_train >= FEW)
    return model, guide


def _loaded(folder: str) -> tuple[Any, Any]:
    run = ppvae.load_run(folder, device="cpu")
    return run.model, run.guide


def _show() -> None:
    parser = argparse.ArgumentParser(description="M1+M2 beside M2, 50 labelled digits.")
    parser.add_argument("--quick", action="store_true", help="10 epochs each")
    epochs = 10 if parser.parse_args().quick else None
    data = load(DATA)
    for name in ("m2", "m1-m2"):
        experiment = build(find_recipe(name), data)
        run = ppvae.fit(experiment, data, epochs=epochs, threads=1, progress=False)
        print(f"{name}, accuracy on {len(data.test['y'])} test rows:")
        print(ppvae.predict(run, data.test))


if __name__ == "__main__":
    _show()
