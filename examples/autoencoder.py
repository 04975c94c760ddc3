"""A plain autoencoder, the limit beta = 0 of the VAE, beside the VAE: what is lost without p(z)?

    ppvae fit autoencoder
    python -m ppvae.examples.autoencoder --out beside.png     # both, trained and drawn side by side

With beta the weight of KL(q(z|x) || p(z)), the best guide at beta = 0 puts all its mass on the code
that explains x best, and no p(z) is left to draw from. Here q(z|x) is a point and p(z) flat, so
that the reported bound is log p(x|z): reconstructions gain, and a code drawn from N(0, I)
decodes to nothing in particular.

Source: Higgins et al. (2017), beta-VAE, ICLR, for the weight beta.
"""

import argparse
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import nn

import ppvae
from ppvae import Experiment
from ppvae.data import Data, load
from ppvae.distributions import BernoulliLikelihood, FlatPrior
from ppvae.experiment import build, find_recipe
from ppvae.guides import DeltaGuide
from ppvae.models import VAE
from ppvae.networks import MLP
from ppvae.plot.mosaic import draw_mosaic

__all__ = ["autoencoder"]


def autoencoder(data: Data, latent_dim: int = 2, hidden: int = 400) -> Experiment:
    """A plain autoencoder: a code without scatter and without a prior.

    Args:
        data: binary rows, (N, P).
        latent_dim: D, width of the code z.
        hidden: width of the one hidden layer of encoder and decoder.
    """
    decoder = MLP(latent_dim, [hidden], data.data_dim, activation=nn.ReLU)
    encoder = MLP(data.data_dim, [hidden], latent_dim, activation=nn.ReLU)
    return Experiment(
        model=VAE(decoder, FlatPrior(latent_dim), BernoulliLikelihood()),
        guide=DeltaGuide(encoder),
        epochs=100 if data.num_train < 10_000 else 20,
        lr=1e-3,
    )


def beside(data: Data, epochs: int | None = None) -> Figure:
    """A VAE and an autoencoder of one size: where codes lie, and what codes from N(0, I) become."""
    figure = Figure(figsize=(10, 9), layout="constrained")
    axes = figure.subplots(2, 2)
    for row, name in enumerate(("vae", "autoencoder")):
        experiment = build(find_recipe(name), data, latent_dim=2)
        run = ppvae.fit(experiment, data, epochs=epochs, progress=False)
        codes = ppvae.encode(run, data.test)["z_loc"].values
        drawn = torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
        decoded = ppvae.sample(run, 64, given={"z": drawn})["x_mean"].values
        codes_axes, images_axes = axes[row]
        codes_axes.scatter(*codes.T, c=data.test.get("y"), cmap="tab10", s=12)
        codes_axes.scatter(*drawn.numpy().T, marker="+", c="black", label="64 codes from N(0, I)")
        codes_axes.set(title=f"{name}: codes of the test rows", xlabel="z[0]", ylabel="z[1]")
        codes_axes.legend()
        draw_mosaic(images_axes, decoded.reshape(8, 8, -1), data.image_shape or (1, 1, 64))
        images_axes.set_title(f"{name}: the same 64 codes, decoded")
    return figure


def _draw() -> None:
    parser = argparse.ArgumentParser(description="A VAE and an autoencoder side by side.")
    parser.add_argument("--out", type=Path, default=Path("autoencoder-beside-vae.png"))
    parser.add_argument("--quick", action="store_true", help="10 epochs instead of 100")
    chosen = parser.parse_args()
    beside(load("digits"), epochs=10 if chosen.quick else None).savefig(chosen.out, dpi=120)
    print(f"wrote {chosen.out}")


if __name__ == "__main__":
    _draw()
