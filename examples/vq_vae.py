"""A VQ-VAE: what is left of an image in a small grid of codes?

    ppvae fit vq-vae                                    # digits, 4x4 codes out of 64
    ppvae fit vq-vae --data mnist --binarize none       # 7x7 codes
    ppvae fit vq-vae --prior uniform --out runs/vq
    ppvae fit vq-vae --trained runs/vq                  # its codes held, their prior learned after
    python -m ppvae.examples.vq_vae --out vq-vae.png    # data, reconstructions, samples; figures

The guide quantises, codes are distributed by masked convolutions, and pixels are Gaussian about
the decoder's mean with one learned scale. The bound is log p(x|z) + log p(z) at the codes of x, a
bound on log p(x), in nats of a density of grey values in [0, 1]. What is beside it: the squared
error as a share of the pixels' variance, and the perplexity of the codes, 64 if all are used alike.

Source: van den Oord, Vinyals & Kavukcuoglu (2017), arXiv:1711.00937.
"""

import argparse
import math
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

import ppvae
from ppvae import Experiment
from ppvae.data import Data, Source, load
from ppvae.distributions import AutoregressiveCodes, GaussianLikelihood, UniformCodes
from ppvae.experiment import build, find_recipe
from ppvae.guides import VQGuide
from ppvae.models import VQVAE
from ppvae.networks import (
    CausalNetwork,
    Codebook,
    Frozen,
    GridDecoder,
    GridEncoder,
    grid_shape,
    perplexity,
)
from ppvae.plot.mosaic import draw_mosaic

__all__ = ["DATA", "vq_vae"]

DATA = Source("digits", binarize="none")
PRIORS = ("causal", "uniform")
NATS = 4.0  # largest norm of a step's gradient, for each value of its rows
SCALE = 0.1  # of pixels, where its learning begins
DECAY = 0.7  # of what a codebook remembers, in a step: vectors move fast, and codes must follow


def vq_vae(
    data: Data,
    codes: int = 64,
    code_dim: int = 16,
    width: int = 32,
    commitment: float = 2.0,
    prior: str = "causal",
    trained: str = "",
    halvings: int = 0,
) -> Experiment:
    """Codes on one grid: a quarter of the image's sides, or half of those below 16 pixels.

    Args:
        data: grey or colour rows of known image shape, values in [0, 1], (N, P).
        codes: K, how many vectors the codebook has, at least 2.
        code_dim: D, how wide they are.
        width: channels of encoder and decoder.
        commitment: weight of the squared distance between vectors and their codes, in nats.
        prior: causal (masked convolutions) or uniform, -log K a code.
        trained: folder of a run of vq-vae, whose networks and codes are held fixed, so that the
            prior alone is learned; codes, code_dim, width and halvings are then the run's.
        halvings: of the image's sides, down to the grid's; 0 for what is said above.
    """
    if prior not in PRIORS:
        raise ValueError(f"prior must be one of {', '.join(PRIORS)}; got {prior!r}.")
    if data.image_shape is None:
        raise ValueError(f"vq-vae needs images; got {data.describe()}.")
    halvings = halvings or (2 if min(data.image_shape[1:]) >= 16 else 1)
    shape = grid_shape(data.image_shape, halvings)
    if trained:
        decoder, encoder, codebook, likelihood = _held(trained)
        shape = next(each.grid_shape for each in encoder.modules() if isinstance(each, GridEncoder))
    else:
        size = {"channels": width, "halvings": halvings}
        encoder = GridEncoder(data.image_shape, code_dim, **size)
        decoder = GridDecoder(code_dim, data.image_shape, **size)
        codebook = Codebook(codes, code_dim, DECAY)
        likelihood = GaussianLikelihood(SCALE, learn_scale=True, min_scale=0.01)
    network = CausalNetwork((1, *shape), codebook.size)
    over_codes: nn.Module = (
        UniformCodes(codebook, math.prod(shape))
        if prior == "uniform"
        else AutoregressiveCodes(codebook, network)
    )
    return Experiment(
        model=VQVAE(decoder, [over_codes], likelihood),
        guide=VQGuide([encoder], [codebook], commitment=commitment),
        **settings(data),
    )


def settings(data: Data) -> dict[str, Any]:
    """How long and how fast, by the number of rows; no step may run off the codes.

    A step whose vectors leave their codes behind has ten times the usual gradient, and without a
    limit the next steps leave them for good.
    """
    small = data.num_train < 10_000
    rows = 64 if small else 128
    return {
        "epochs": 60 if small else 10,
        "lr": 2e-3 if small else 1e-3,
        "batch_size": rows,
        "clip_norm": NATS * rows * data.train["x"].shape[1],
    }


def _held(folder: str) -> tuple[Any, Any, Any, Any]:
    """Decoder, encoder, codebook and likelihood of a run, none of which moves any more."""
    run: Any = ppvae.load_run(folder, device="cpu")
    if not isinstance(run.guide, VQGuide) or len(run.guide.codebooks) != 1:
        raise ValueError(f"trained must be the folder of a run of vq-vae; got {folder}.")
    codebook: Any = run.guide.codebooks[0]
    codebook.hold()
    parts = (run.model.decoder, run.guide.encoders[0], run.model.likelihood)
    decoder, encoder, likelihood = map(Frozen, parts)
    return decoder, encoder, codebook, likelihood


def figures(run: Any, data: Data) -> dict[str, float]:
    """Squared error over the variance of pixels, and perplexity of the codes, on test rows."""
    x: Tensor = data.test["x"]
    mean = torch.as_tensor(ppvae.reconstruct(run, {"x": x})["x_mean"].values)
    codebook, encoder = run.guide.codebooks[0], run.guide.encoders[0]
    with torch.no_grad():
        index = codebook.nearest(encoder(x))
    return {
        "squared error / variance": float((mean - x).square().mean() / x.var()),
        "perplexity": float(perplexity(index, codebook.size)),
    }


def picture(run: Any, data: Data) -> Figure:
    """Test rows, their reconstructions, and images of codes drawn from the prior."""
    x = data.test["x"][:32]
    shape = data.image_shape or (1, 1, x.shape[1])
    drawn = ppvae.sample(run, 32)["x_mean"].values
    rows = {
        "data": x.numpy(),
        "reconstructed": ppvae.reconstruct(run, {"x": x})["x_mean"].values,
        "drawn from the prior": drawn,
    }
    figure = Figure(figsize=(12, 6.5), layout="constrained")
    for axes, (title, images) in zip(figure.subplots(1, 3), rows.items(), strict=True):
        draw_mosaic(axes, images.reshape(8, 4, -1).clip(0, 1), shape)
        axes.set_title(title)
    return figure


def _show() -> None:
    parser = argparse.ArgumentParser(description="A VQ-VAE: figures and a picture.")
    parser.add_argument("--data", default="digits", help="digits, mnist or photographs")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--quick", action="store_true", help="5 epochs")
    parser.add_argument("--out", type=Path, default=Path("vq-vae.png"))
    chosen = parser.parse_args()
    data = load(Source(chosen.data, binarize="none"))
    run = ppvae.fit(
        build(find_recipe("vq-vae"), data), data, epochs=5 if chosen.quick else chosen.epochs
    )
    for name, value in figures(run, data).items():
        print(f"{name}: {value:.3f}")
    picture(run, data).savefig(chosen.out, dpi=120)
    print(f"wrote {chosen.out}")


if __name__ == "__main__":
    _show()
