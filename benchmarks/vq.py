"""Vector-quantised codes: how much of MNIST do 7x7 of them keep, and do two grids beat one?

    python benchmarks/vq.py                             # all, three seeds: table and picture
    python benchmarks/vq.py --parts mnist               # what vq.json holds
    python benchmarks/vq.py --parts photographs --epochs 2 --seeds 0      # a first look

MNIST: `ppvae fit vq-vae`, 7x7 codes out of 64, pixels in [0, 1]; squared error of the decoder's
mean at the codes of 10000 test images, as a share of the pixels' variance there, the perplexity of
the codes, and how many of the 64 no test image uses.

Photographs: 32x32 colour crops, tested on columns of the pictures that no training crop touches.
One grid of 8x8 codes out of 512 and two grids, 8x8 out of 128 and 4x4 out of 256, hold 576 bits
each, all codes taken as equally likely. The one grid's networks have more channels, so that the
numbers of parameters are alike. Squared errors are compared crop by crop, with the 95 % interval
over crops of the mean over seeds; neighbouring crops overlap, so that the interval is taken from
means over the blocks of 64 columns of each picture and row of crops as well (`blocks`).

A first run, stopped after five trainings of 12 epochs, had 0.038, 0.039 and 0.042 of the variance
with one grid and 0.042 twice with two: two grids did not beat one.

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

ONE = {"codes": 512, "width": 44, "prior": "uniform"}
TWO = {"codes": 128, "top_codes": 256, "width": 32, "prior": "uniform"}
GRIDS = {"one grid": ("vq-vae", ONE), "two grids": ("vq-vae2", TWO)}


def trained(name: str, data: Data, epochs: int, seed: int, **options: Any) -> tuple[Any, float]:
    """A run of an experiment, and its seconds."""
    torch.manual_seed(seed)
    experiment = build(find_recipe(name), data, **options)
    start = time.perf_counter()
    run = ppvae.fit(experiment, data, epochs=epochs, seed=seed, threads=1, progress=False)
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


def of_photographs(data: Data, epochs: int, seeds: list[int]) -> dict[str, Any]:
    """Squared errors by crop of one grid and of two at 576 bits."""
    x = data.test["x"]
    errors: dict[str, list[Tensor]] = {name: [] for name in GRIDS}
    cells, pictures = [], {"data": x}
    for seed in seeds:
        for name, (experiment, options) in GRIDS.items():
            run, seconds = trained(experiment, data, epochs, seed, **options)
            pictures[name] = decoded(run, x)
            errors[name].append((pictures[name] - x).square().mean(1))
            share = float(errors[name][-1].mean() / x.var())
            parameters = sum(
                p.numel() for part in (run.model, run.guide) for p in part.parameters()
            )
            cells.append(
                {"seed": seed, "grids": name, "squared error / variance": share}
                | {"parameters": parameters, "seconds": seconds}
            )
            print("photographs", cells[-1], flush=True)
    less = torch.stack(errors["one grid"]).mean(0) - torch.stack(errors["two grids"]).mean(0)
    kept = {
        "cells": cells,
        "bits": 576,
        "error of one grid": float(torch.stack(errors["one grid"]).mean()),
        "error of two grids": float(torch.stack(errors["two grids"]).mean()),
        "less with two grids": interval(less),
        "blocks": interval(blocks(less)),
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
    figure = Figure(figsize=(13, 7), layout="constrained")
    for axes, (title, images) in zip(figure.subplots(1, 4), panels.items(), strict=True):
        draw_mosaic(axes, images.reshape(8, 4, -1).clamp(0, 1).numpy(), shape)
        axes.set_title(title)
    return figure


def main() -> int:
    """Train what is asked for, print, and keep all."""
    parser = argparse.ArgumentParser(description="Vector-quantised codes.")
    parser.add_argument("--parts", nargs="+", default=["mnist", "photographs"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=12, help="of photographs")
    parser.add_argument("--mnist-epochs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    if "photographs" in chosen.parts:
        data = load("photographs")
        made = of_photographs(data, chosen.epochs, chosen.seeds)
        found["photographs"] = made["kept"]
        run, _ = trained("vq-vae2", data, chosen.epochs, 0, codes=128, top_codes=256)
        drawn = torch.as_tensor(ppvae.sample(run, 32)["x_mean"].values)
        chosen.out.mkdir(parents=True, exist_ok=True)
        shape = data.image_shape or (3, 32, 32)
        picture(made["pictures"], drawn, shape).savefig(chosen.out / "vq.png", dpi=100)
    if "mnist" in chosen.parts:
        found["mnist"] = of_mnist(chosen.mnist_epochs, chosen.seeds)
    command = f"python benchmarks/vq.py {' '.join(sys.argv[1:])}".strip()
    write_record(chosen.out / "vq.json", command, chosen.seeds, **found)
    print({name: value for name, value in found.get("photographs", {}).items() if name != "cells"})
    return 0


if __name__ == "__main__":
    sys.exit(main())
