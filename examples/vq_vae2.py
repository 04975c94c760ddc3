"""A VQ-VAE of two grids: does a coarse grid above a fine one pay?

    ppvae fit vq-vae2                                   # digits, 4x4 and 2x2 codes
    ppvae fit vq-vae2 --data photographs --epochs 20    # 32x32 colour crops, 8x8 and 4x4 codes
    ppvae fit vq-vae2 --data mnist --binarize none      # 14x14 and 7x7 codes
    python -m ppvae.examples.vq_vae2 --out vq-vae2.png  # data, reconstructions, samples

The top grid is quantised first, and what it holds is told to the lower one, in guide, prior and
decoder. Both are distributed by masked convolutions, the lower given the top. Pixels are Gaussian
with one learned scale, and the bound is as in vq-vae. `benchmarks/vq.py` has one grid and two at
equal bits.

Source: Razavi, van den Oord & Vinyals (2019), arXiv:1906.00446.
"""

import argparse
import math
from pathlib import Path

import torch
from torch import nn

import ppvae
from ppvae import Experiment
from ppvae.data import Data, Source, load
from ppvae.distributions import AutoregressiveCodes, GaussianLikelihood, UniformCodes
from ppvae.examples.vq_vae import DECAY, PRIORS, SCALE, picture, settings
from ppvae.experiment import build, find_recipe
from ppvae.guides import VQGuide
from ppvae.models import VQVAE
from ppvae.networks import (
    CausalNetwork,
    Codebook,
    GridDecoder,
    GridEncoder,
    GridJoin,
    JoinedDecoder,
    grid_shape,
)

__all__ = ["DATA", "vq_vae2"]

DATA = Source("digits", binarize="none")
CONTEXT = 16


def vq_vae2(
    data: Data,
    codes: int = 64,
    top_codes: int = 64,
    code_dim: int = 16,
    width: int = 32,
    commitment: float = 2.0,
    prior: str = "causal",
    halvings: int = 0,
) -> Experiment:
    """Codes on two grids: half or a quarter of the image's sides, and half of that.

    Args:
        data: grey or colour rows of known image shape, values in [0, 1], (N, P).
        codes: K of the lower grid, at least 2.
        top_codes: K of the top grid, at least 2.
        code_dim: D, width of the codes.
        width: channels of encoders and decoder.
        commitment: weight of the squared distance between vectors and their codes, in nats.
        prior: causal (masked convolutions) or uniform, -log K a code.
        halvings: of the image's sides, down to the lower grid's; 0 for what is said above.
    """
    if prior not in PRIORS:
        raise ValueError(f"prior must be one of {', '.join(PRIORS)}; got {prior!r}.")
    if data.image_shape is None:
        raise ValueError(f"vq-vae2 needs images; got {data.describe()}.")
    sides = data.image_shape[1:]
    usual = 2 if min(sides) >= 32 and not (sides[0] % 8 or sides[1] % 8) else 1
    halvings = halvings or usual
    low_shape = grid_shape(data.image_shape, halvings)
    features = (width, *low_shape)
    low, top = (Codebook(size, code_dim, DECAY) for size in (codes, top_codes))
    encoders = [
        GridEncoder(data.image_shape, width, width, halvings),
        GridEncoder(features, code_dim, width, 1),
    ]
    join = GridJoin(width, code_dim, low_shape, code_dim)
    decoder = JoinedDecoder(
        [GridJoin(code_dim, code_dim, low_shape, width)],
        GridDecoder(width, data.image_shape, width, halvings),
    )
    return Experiment(
        model=VQVAE(
            decoder,
            _priors(prior, low, top, low_shape, width),
            GaussianLikelihood(SCALE, learn_scale=True, min_scale=0.01),
        ),
        guide=VQGuide(encoders, [low, top], [join], commitment),
        **settings(data),
    )


def _priors(
    prior: str, low: Codebook, top: Codebook, low_shape: tuple[int, int], width: int
) -> list[nn.Module]:
    """Of the lower grid given the top one, and of the top grid."""
    top_shape = (low_shape[0] // 2, low_shape[1] // 2)
    if prior == "uniform":
        shapes = ((low, low_shape), (top, top_shape))
        return [UniformCodes(book, math.prod(shape)) for book, shape in shapes]
    told = GridDecoder(top.codes.shape[1], (CONTEXT, *low_shape), width, 1, blocks=1)
    lower = CausalNetwork((1, *low_shape), low.size, context_features=CONTEXT)
    return [
        AutoregressiveCodes(low, lower, told),
        AutoregressiveCodes(top, CausalNetwork((1, *top_shape), top.size)),
    ]


def _show() -> None:
    parser = argparse.ArgumentParser(description="A VQ-VAE of two grids: a figure and a picture.")
    parser.add_argument("--data", default="digits", help="digits, mnist or photographs")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--quick", action="store_true", help="5 epochs")
    parser.add_argument("--out", type=Path, default=Path("vq-vae2.png"))
    chosen = parser.parse_args()
    data = load(Source(chosen.data, binarize="none"))
    experiment = build(find_recipe("vq-vae2"), data)
    run = ppvae.fit(experiment, data, epochs=5 if chosen.quick else chosen.epochs)
    x = data.test["x"]
    mean = torch.as_tensor(ppvae.reconstruct(run, {"x": x})["x_mean"].values)
    share = float((mean - x).square().mean() / x.var())
    print(f"squared error / variance of pixels, {len(x)} test rows: {share:.3f}")
    picture(run, data).savefig(chosen.out, dpi=120)
    print(f"wrote {chosen.out}")


if __name__ == "__main__":
    _show()
