"""Grey images: which likelihood, how wide its noise, and how sharp is what it decodes?

    ppvae fit sigma-vae                                 # one learned scale, the sigma-VAE
    ppvae compare sigma-vae --vary kind=fixed,learned,pixel --estimators elbo
    python -m ppvae.examples.sigma_vae --out sharpness.png

With one scale for all values, the best one has a closed form: its square is the mean squared error
of f(z) at draws of q(z|x). With the textbook's scale of 1 codes are worth little and stay unused.

The last command trains a pair of each kind (a minute). A density and the probability of a level
have not the same unit: log p(x) of either is told by itself, and only the squared error of means,
E_q[(x - E[x|z])^2], stands in all lines. A density of values that are levels has no upper end: a
scale for each pixel goes to its bound where a pixel never changes.

The picture holds the same codes z under four likelihoods: on its left all decoders are trained on
the codes of one guide that stays as it is, on its right each pair has its own. Beside each line
stands the variance of the Laplacian, that of the data being 1: below is blur, above is noise. On
the same codes all means are about equally sharp, 0.78 to 0.82; the fixed scale by itself has 0.11.

Source: Rybkin, Daniilidis & Levine (2021), arXiv:2006.13202.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch
from matplotlib.figure import Figure
from torch import nn

import ppvae
from ppvae import Experiment
from ppvae.data import Data, Source, load
from ppvae.distributions import (
    CategoricalLikelihood,
    ContinuousBernoulliLikelihood,
    DiscretizedLogisticLikelihood,
    GaussianLikelihood,
    PixelGaussianLikelihood,
    StandardNormal,
)
from ppvae.experiment import build, find_recipe
from ppvae.guides import GaussianGuide
from ppvae.models import VAE
from ppvae.networks import MLP, Frozen
from ppvae.plot import beside
from ppvae.sharpness import sharpness

__all__ = ["DATA", "sigma_vae"]

DATA = Source("digits", binarize="none")
DENSITIES = ("fixed", "learned", "pixel", "continuous-bernoulli")
ON_LEVELS = ("logistic", "categorical")
KINDS = (*DENSITIES, *ON_LEVELS)
SHOWN = ("fixed", "learned", "continuous-bernoulli", "logistic")
MIN_SCALE = 0.01
IMAGES = 12


def sigma_vae(
    data: Data, kind: str = "learned", latent_dim: int = 10, hidden: int = 200, levels: int = 17
) -> Experiment:
    """A VAE for grey values between 0 and 1, with one of several likelihoods.

    Args:
        data: real rows in [0, 1], (N, P).
        kind: fixed, learned, pixel, continuous-bernoulli, logistic or categorical.
        latent_dim: D, width of the code z.
        hidden: width of the one hidden layer of encoder and decoder.
        levels: of logistic and categorical, how many values a pixel has; 256 where it was a byte.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}; got {kind!r}.")
    likelihood, each = _likelihood(data, kind, levels)
    decoder = MLP(latent_dim, [hidden], each * data.data_dim, activation=nn.ReLU)
    encoder = MLP(data.data_dim, [hidden], 2 * latent_dim, activation=nn.ReLU)
    return Experiment(
        model=VAE(decoder, StandardNormal(latent_dim), likelihood),
        guide=GaussianGuide(encoder),
        epochs=100 if data.num_train < 10_000 else 20,
        lr=2e-3,
        batch_size=64,
    )


def _likelihood(data: Data, kind: str, levels: int) -> tuple[nn.Module, int]:
    """The likelihood, and how many numbers it takes for a pixel."""
    if kind == "fixed":
        return GaussianLikelihood(), 1
    if kind == "learned":
        # The best scale of a decoder that says nothing but the mean of each pixel.
        rows = data.train["x"]
        start = max(float((rows - rows.mean(0)).square().mean().sqrt()), 2 * MIN_SCALE)
        return GaussianLikelihood(start, learn_scale=True, min_scale=MIN_SCALE), 1
    if kind == "pixel":
        return PixelGaussianLikelihood(MIN_SCALE), 2
    if kind == "continuous-bernoulli":
        return ContinuousBernoulliLikelihood(), 1
    if kind == "logistic":
        return DiscretizedLogisticLikelihood(levels=levels), 2
    return CategoricalLikelihood(levels), levels


def trained(kind: str, data: Data, epochs: int | None, guide: nn.Module | None = None) -> ppvae.Run:
    """A run of one kind, under its own guide or under one that stays as it is."""
    made = build(find_recipe("sigma-vae"), data, kind=kind)
    made = made if guide is None else replace(made, guide=guide, recipe=None)
    return ppvae.fit(made, data, epochs=epochs, threads=1, progress=False)


@torch.no_grad()
def squared_error(run: ppvae.Run, x: torch.Tensor, num_draws: int = 20) -> float:
    """Mean over values of (x - E[x|z])^2 at draws of q(z|x)."""
    model, draws = cast(VAE, run.model), (run.guide(x) for _ in range(num_draws))
    means = (model.likelihood(model.decoder(z)).mean for z in draws)
    return sum(float((x - mean).square().mean()) for mean in means) / num_draws


def decoded(run: ppvae.Run, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean of p(x|z) and a draw of it, (B, P) each, at z = mean of q(z|x)."""
    with torch.no_grad():
        z = cast(GaussianGuide, run.guide).distribution(x).mean
    mean = torch.from_numpy(ppvae.reconstruct(run, x)["x_mean"].values)
    return mean, ppvae.generate(run, x, given={"z": z})["x"]


def picture(panels: dict[str, dict[str, ppvae.Run]], data: Data) -> Figure:
    """Data, means and draws under each likelihood, with the sharpness of each line."""
    x, shape = data.test["x"], data.image_shape
    assert shape is not None  # of digits
    whole, drawn = float(sharpness(x, shape).mean()), {}
    for title, runs in panels.items():
        lines = {"data": (x, "1")}
        for kind, run in runs.items():
            for what, rows in zip(("mean", "draw"), decoded(run, x), strict=True):
                number = float(sharpness(rows, shape).mean()) / whole
                lines[f"{kind}, {what}"] = (rows, f"{number:.2f}")
        drawn[title] = lines
    return beside(drawn, shape, columns=IMAGES, numbers="sharpness")


def line(kind: str, run: ppvae.Run, num_particles: int) -> str:
    """A run on its test rows, in words."""
    found, x = ppvae.evaluate(run, num_particles=num_particles), run.data.test["x"]
    evidence, kl = float(found["log_evidence_mean"]), float(found["kl_mean"])
    said = f"{kind:21}log p(x) {evidence:9.2f} nats"
    if "bits_per_dim" in found:
        said += f" = {float(found['bits_per_dim'].mean()):.3f} bits a pixel"
    said += f"  KL {kl:6.2f}  squared error {squared_error(run, x):.5f}"
    likelihood = cast(VAE, run.model).likelihood
    if isinstance(likelihood, GaussianLikelihood):
        scale = float(likelihood(torch.zeros(1)).base_dist.scale.detach())
        on_train = squared_error(run, run.data.train["x"])
        said += f"  scale^2 {scale**2:.5f} (squared error of training rows {on_train:.5f})"
    return said


def _show() -> None:
    parser = argparse.ArgumentParser(description="Likelihoods of grey values, side by side.")
    parser.add_argument("--out", type=Path, default=Path("sharpness.png"))
    parser.add_argument("--quick", action="store_true", help="10 epochs of each, 50 draws")
    chosen = parser.parse_args()
    data, (epochs, draws) = load(DATA), (10, 50) if chosen.quick else (None, 1000)
    runs = {kind: trained(kind, data, epochs) for kind in KINDS}
    said = {kind: line(kind, run, draws) for kind, run in runs.items()}
    for what, kinds in (("densities in [0, 1]", DENSITIES), ("probabilities of levels", ON_LEVELS)):
        print(f"{what}, to be compared with each other alone:")
        print(*(said[kind] for kind in kinds), sep="\n")
    one = GaussianGuide(Frozen(cast(GaussianGuide, runs["learned"].guide).encoder))
    panels = {
        "the same codes z, of one guide": {k: trained(k, data, epochs, one) for k in SHOWN},
        "codes of each pair's own guide": {k: runs[k] for k in SHOWN},
    }
    picture(panels, data).savefig(chosen.out, dpi=120)
    print(f"wrote {chosen.out}")


if __name__ == "__main__":
    _show()
