"""Images with holes: what lay there, given what is seen?

    ppvae fit inpainting                                        # masks drawn anew in each epoch
    ppvae fit inpainting --masks once                           # the data really are incomplete
    ppvae fit vae --out whole && ppvae fit inpainting --generator whole    # only the guide learns
    ppvae impute runs/inpainting-digits-iwae-5-seed0 --missing quadrants:2
    python -m ppvae.examples.inpainting --out inpainting.png    # all three, trained and drawn

The last prints, of 300 test rows that lack a 4x4 block (7 minutes beside other jobs on two cores;
40 seconds with --quick, which ends near 0.173):

    mean squared error of hidden test pixels, and log p(observed) in nats per datum
    mean of training rows   0.1898
    generator-frozen        0.1636       -16.22
    masks-anew              0.1626       -15.93
    incomplete-data         0.1625       -15.95

The pixels are draws of 0 or 1 from grey values, so that no filling has an error near 0.

The model scores the pixels that are seen, and q(z | x, m) is told which these are. Under IWAE(K)
that is the MIWAE of incomplete data (``ppvae.MIWAE`` is another thing of the same name). A hole is
filled with draws from p(x_hidden | x_observed), weighted by importance.

Source: Mattei & Frellsen (2019), MIWAE, arXiv:1812.02633.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

import ppvae
from ppvae import IWAE, Experiment, plot
from ppvae.data import Data, Source, load
from ppvae.distributions import BernoulliLikelihood, StandardNormal
from ppvae.experiment import build, find_recipe
from ppvae.guides import MaskedGuide
from ppvae.models import VAE
from ppvae.networks import MLP, PartialConvEncoder

__all__ = ["DATA", "inpainting"]

DATA = Source("digits", missing="block:4", masks="anew")


def inpainting(
    data: Data,
    latent_dim: int = 20,
    hidden: int = 400,
    particles: int = 5,
    partial: bool = False,
    generator: str = "",
) -> Experiment:
    """A VAE of images with holes, whose guide is told what is observed.

    Args:
        data: binary rows with a mask of what is observed, (N, P).
        latent_dim: D, width of the code z.
        hidden: width of the one hidden layer of encoder and decoder.
        particles: K, draws inside the weight.
        partial: whether the encoder is made of partial convolutions.
        generator: folder of a run of vae, whose model stays as it is; none to learn a model.
    """
    if "mask" not in data.train:
        raise ValueError(
            f"inpainting needs data with holes, by --missing block:4; got {data.describe()}."
        )
    if generator:
        model: Any = ppvae.load_run(generator).pair.modules["model"].requires_grad_(False)
        latent_dim = model.decoder.in_features
    else:
        decoder = MLP(latent_dim, [hidden], data.data_dim, activation=nn.ReLU)
        model = VAE(decoder, StandardNormal(latent_dim), BernoulliLikelihood())
    encoder: nn.Module = MLP([data.data_dim] * 2, [hidden], 2 * latent_dim, activation=nn.ReLU)
    if partial:
        if data.image_shape is None:
            raise ValueError(f"partial needs images of known shape; got {data.describe()}.")
        encoder = PartialConvEncoder(data.image_shape, 2 * latent_dim)
    small = data.num_train < 10_000
    return Experiment(
        model=model,
        guide=MaskedGuide(encoder),
        estimator=IWAE(particles),
        epochs=100 if small else 20,
        lr=2e-3 if small else 1e-3,
        batch_size=64 if small else 128,
    )


def trained(missing: str, epochs: int | None) -> dict[str, ppvae.Run]:
    """Three ways to learn what fills a hole, by name."""
    recipe, runs = find_recipe("inpainting"), {}
    with tempfile.TemporaryDirectory() as folder:
        rows = load("digits")
        whole = Path(folder, "whole")
        ppvae.fit(build(find_recipe("vae"), rows), rows, epochs=epochs, folder=whole)
        for how, masks, generator in (
            ("generator-frozen", "anew", str(whole)),
            ("masks-anew", "anew", ""),
            ("incomplete-data", "once", ""),
        ):
            data = load(Source("digits", missing=missing, masks=masks))
            runs[how] = ppvae.fit(build(recipe, data, generator=generator), data, epochs=epochs)
    return runs


def _draw() -> None:
    parser = argparse.ArgumentParser(description="Holes filled after three ways to train.")
    parser.add_argument("--out", type=Path, default=Path("inpainting.png"))
    parser.add_argument("--missing", default="block:4")
    parser.add_argument("--quick", action="store_true", help="10 epochs instead of 100")
    chosen = parser.parse_args()
    runs = trained(chosen.missing, 10 if chosen.quick else None)
    data = load(Source("digits", missing=chosen.missing))
    rows, whole, seen = data.test, data.whole["test"].numpy(), data.test["mask"].numpy()
    print("mean squared error of hidden test pixels, and log p(observed) in nats per datum")
    print(f"{'mean of training rows':<24}{np.square(data.mean.numpy() - whole)[~seen].mean():.4f}")
    for how, run in runs.items():
        found = ppvae.impute(run, rows)
        error = np.square(found["x_mean"].values - whole)[~seen].mean()
        print(f"{how:<24}{error:.4f} {float(found['log_evidence'].mean()):12.2f}")
        shown = found.isel(row=slice(8))
        figure = plot.fillings(shown, seen[:8], data.image_shape, original=whole[:8])
        picture = chosen.out.with_stem(f"{chosen.out.stem}-{how}")
        figure.savefig(picture, dpi=120)
        print(f"wrote {picture}")


if __name__ == "__main__":
    _draw()
