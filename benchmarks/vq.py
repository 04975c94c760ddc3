"""Vector-quantised codes: how much of MNIST do 7x7 of them keep, and do two grids beat one?

    python benchmarks/vq.py                             # all, three seeds: table and picture
    python benchmarks/vq.py --parts mnist               # what vq.json holds
    python benchmarks/vq.py --parts photographs --epochs 2 --seeds 0      # a first look

MNIST: `ppvae fit vq-vae`, 7x7 codes out of 64, pixels in [0, 1]; squared error of the decoder's
mean at the codes of 10000 test images, as a share of the pixels' variance there, the perplexity of
the codes, and how many of the 64 no test image uses.

Photographs: 32x32 colour crops, tested on columns of the pictures that no training crop touches,
at 768 bits a crop, all codes taken as equally likely: one grid of 8x8 codes out of 4096, or of
16x16 out of 8, against 16x16 out of 4 below 8x8 out of 16. `--bits 576` has 8x8 out of 512 against
8x8 out of 128 below 4x4 out of 256; `--bits 1024` 16x16 out of 16 against 16x16 out of 4 below 8x8
out of 256. The one grid's networks have more channels, so that the numbers of parameters are alike.
Each is trained at the rate of the experiment, and for a third of these epochs more at a tenth of
it. Squared errors are compared crop by crop, with the 95 % interval over crops of the mean over
seeds; neighbouring crops overlap, so that the interval is taken from means over every second row of
crops of each picture as well (`blocks`).

The picture has both kinds' reconstructions and what two grids with masked-convolution priors draw,
top first. Source: van den Oord, Vinyals & Kavukcuoglu (2017), arXiv:1711.00937; Razavi, van den
Oord & Vinyals (2019), arXiv:1906.00446. Writes vq.json and vq.png.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from recorded import write_record
from torch import Tensor

import ppvae
from ppvae.data import Data, Source, load
from ppvae.examples.vq_vae import figures
from ppvae.experiment import build, find_recipe
from ppvae.plot.mosaic import draw_mosaic

Kind = tuple[str, dict[str, Any]]
GRIDS: dict[int, dict[str, Kind]] = {
    576: {
        "one grid, 8x8": ("vq-vae", {"codes": 512, "width": 44}),
        "two grids": ("vq-vae2", {"codes": 128, "top_codes": 256}),
    },
    768: {
        "one grid, 8x8": ("vq-vae", {"codes": 4096, "width": 44}),
        "one grid, 16x16": ("vq-vae", {"codes": 8, "width": 52, "halvings": 1}),
        "two grids": ("vq-vae2", {"codes": 4, "top_codes": 16, "halvings": 1}),
    },
    1024: {
        "one grid, 16x16": ("vq-vae", {"codes": 16, "width": 52, "halvings": 1}),
        "two grids": ("vq-vae2", {"codes": 4, "top_codes": 256, "halvings": 1}),
    },
}


def trained(name: str, data: Data, epochs: int, seed: int, **options: Any) -> tuple[Any, float]:
    """A run, with a third of its epochs more at a tenth of the rate, and its seconds."""
    torch.manual_seed(seed)
    experiment = build(find_recipe(name), data, **options)
    start = time.perf_counter()
    settings: dict[str, Any] = {"threads": 1, "progress": False}
    ppvae.fit(experiment, data, epochs=epochs, seed=seed, **settings)
    settings |= {"lr": experiment.lr / 10, "epochs": max(epochs // 3, 1)}
    run = ppvae.fit(experiment, data, seed=seed + 1000, **settings)
    return run, time.perf_counter() - start


def decoded(run: Any, x: Tensor) -> Tensor:
    """The decoder's mean at the codes of rows, (N, P)."""
    return torch.as_tensor(ppvae.reconstruct(run, {"x": x})["x_mean"].values)


def of_mnist(epochs: int, seeds: list[int]) -> list[dict[str, float]]:
    """What 7x7 codes keep, by seed."""
    data, found = load(Source("mnist", binarize="none")), []
    for seed in seeds:
        run, seconds = trained("vq-vae", data, epochs, seed)
        codebook, encoder = run.guide.codebooks[0], run.guide.encoders[0]
        with torch.no_grad():
            index = torch.cat([codebook.nearest(encoder(x)) for x in data.test["x"].split(1000)])
        unused = int((torch.bincount(index.flatten(), minlength=codebook.size) == 0).sum())
        found.append(
            {"seed": seed, **figures(run, data), "unused codes": unused, "seconds": seconds}
        )
        print("mnist", {name: round(value, 4) for name, value in found[-1].items()}, flush=True)
    return found


def of_photographs(data: Data, bits: int, epochs: int, seeds: list[int]) -> dict[str, Any]:
    """Squared errors by crop of each kind at so many bits, and what one grid has more."""
    x = data.test["x"]
    errors: dict[str, list[Tensor]] = {name: [] for name in GRIDS[bits]}
    cells, pictures = [], {"data": x}
    for seed in seeds:
        for name, (experiment, options) in GRIDS[bits].items():
            run, seconds = trained(experiment, data, epochs, seed, prior="uniform", **options)
            pictures[name] = decoded(run, x)
            errors[name].append((pictures[name] - x).square().mean(1))
            share = float(errors[name][-1].mean() / x.var())
            parameters = sum(
                p.numel() for part in (run.model, run.guide) for p in part.parameters()
            )
            cells.append(
                {"bits": bits, "seed": seed, "grids": name, "squared error / variance": share}
                | {"parameters": parameters, "seconds": seconds}
            )
            print("photographs", cells[-1], flush=True)
    each = {name: torch.stack(found).mean(0) / x.var() for name, found in errors.items()}
    two = each.pop("two grids")
    kept = {
        "cells": cells,
        "two grids": float(two.mean()),
        "more with": {
            name: {"mean": float(one.mean()), "crops": interval(one - two)}
            | {"blocks": interval(blocks(one - two))}
            for name, one in each.items()
        },
    }
    return {"kept": kept, "pictures": pictures}


def blocks(each: Tensor) -> Tensor:
    """Means over the crops of one row of crops in one picture, so that blocks hardly overlap."""
    # 25 rows of 7 crops in each of the two pictures; every second row has no pixel of the next.
    return each.reshape(2, 25, 7)[:, ::2].mean(2).flatten()


def interval(each: Tensor) -> dict[str, float]:
    """Mean and half the width of its 95 % interval."""
    half = 1.96 * float(each.std()) / len(each) ** 0.5
    return {"mean": float(each.mean()), "half_width": half, "number": len(each)}


def picture(pictures: dict[str, Tensor], drawn: Tensor, shape: tuple[int, int, int]) -> Figure:
    """Data, reconstructions by one grid and by two, and draws of two grids with priors."""
    which = torch.arange(0, len(pictures["data"]), len(pictures["data"]) // 32)[:32]
    panels = {name: images[which] for name, images in pictures.items()}
    panels["drawn, top first"] = drawn
    figure = Figure(figsize=(3.3 * len(panels), 7), layout="constrained")
    for axes, (title, images) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        draw_mosaic(axes, images.reshape(8, 4, -1).clamp(0, 1).numpy(), shape)
        axes.set_title(title)
    return figure


def main() -> int:
    """Train what is asked for, print, and keep all."""
    parser = argparse.ArgumentParser(description="Vector-quantised codes.")
    parser.add_argument("--parts", nargs="+", default=["mnist", "photographs"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--bits", type=int, nargs="+", default=[768], choices=list(GRIDS))
    parser.add_argument("--epochs", type=int, default=12, help="of photographs")
    parser.add_argument("--mnist-epochs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    if "photographs" in chosen.parts:
        data = load("photographs")
        made = {
            bits: of_photographs(data, bits, chosen.epochs, chosen.seeds) for bits in chosen.bits
        }
        found["photographs"] = {str(bits): each["kept"] for bits, each in made.items()}
        bits = chosen.bits[0]
        run, _ = trained("vq-vae2", data, chosen.epochs, 0, **GRIDS[bits]["two grids"][1])
        drawn = torch.as_tensor(ppvae.sample(run, 32)["x_mean"].values)
        chosen.out.mkdir(parents=True, exist_ok=True)
        shape = data.image_shape or (3, 32, 32)
        picture(made[bits]["pictures"], drawn, shape).savefig(chosen.out / "vq.png", dpi=100)
    if "mnist" in chosen.parts:
        found["mnist"] = of_mnist(chosen.mnist_epochs, chosen.seeds)
    command = f"python benchmarks/vq.py {' '.join(sys.argv[1:])}".strip()
    write_record(chosen.out / "vq.json", command, chosen.seeds, **found)
    for bits, each in found.get("photographs", {}).items():
        print(bits, {name: value for name, value in each.items() if name != "cells"})
    return 0


if __name__ == "__main__":
    sys.exit(main())
