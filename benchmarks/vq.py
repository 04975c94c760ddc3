"""Vector-quantised codes: how much of MNIST do 7x7 of them keep, and do two grids beat one?

    python benchmarks/vq.py                             # all, three seeds: table and picture
    python benchmarks/vq.py --parts mnist --name vq_mnist
    python benchmarks/vq.py --parts photographs --settings 768-seconds --name vq_seconds --jobs 2

MNIST: `ppvae fit vq-vae`, 7x7 codes out of 64, pixels in [0, 1]; squared error of the decoder's
mean at the codes of 10000 test images, as a share of the pixels' variance there, the perplexity of
the codes, and how many of the 64 no test image uses.

Photographs: 32x32 colour crops, tested on columns of the pictures that no training crop touches,
at 768 bits a crop, all codes taken as equally likely: one grid of 8x8 codes out of 4096, or of
16x16 out of 8, against 16x16 out of 4 below 8x8 out of 16. `--settings 576` has 8x8 out of 512
against 8x8 out of 128 below 4x4 out of 256; in `768-seconds` the two grids have twice the epochs of
the one with 4096 codes, which takes longer even so. The one grid's networks have more channels, so
that the numbers of parameters are alike. Each is trained at the rate of the experiment, and for a
third of these epochs more at a tenth of it. Squared errors are compared seed by seed and crop by
crop, with 95 % intervals over both; neighbouring crops overlap, so that there is one over every
second row of crops of each picture as well.

The picture has what each kind makes of test crops, and what two grids with masked-convolution
priors draw, top first. Source: van den Oord, Vinyals & Kavukcuoglu (2017), arXiv:1711.00937;
Razavi, van den Oord & Vinyals (2019), arXiv:1906.00446. Writes vq.json and vq.png.
"""

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
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
from ppvae.intervals import paired_interval
from ppvae.plot.mosaic import draw_mosaic

Kind = tuple[str, int, dict[str, Any]]
ONE_8 = ("vq-vae", 12, {"codes": 4096, "width": 44})
TWO = {"codes": 4, "top_codes": 16, "halvings": 1}
# Of each setting: experiment, epochs, options.
SETTINGS: dict[str, dict[str, Kind]] = {
    "576": {
        "one grid, 8x8": ("vq-vae", 12, {"codes": 512, "width": 44}),
        "two grids": ("vq-vae2", 12, {"codes": 128, "top_codes": 256}),
    },
    "768": {
        "one grid, 8x8": ONE_8,
        "one grid, 16x16": ("vq-vae", 12, {"codes": 8, "width": 52, "halvings": 1}),
        "two grids": ("vq-vae2", 12, TWO),
    },
    "768-seconds": {"one grid, 8x8": ONE_8, "two grids": ("vq-vae2", 24, TWO)},
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


def of_crops(name: str, kind: Kind, seed: int) -> tuple[dict[str, Any], Tensor]:
    """One training, and what it makes of the test crops, (N, P)."""
    torch.set_num_threads(1)
    data, (experiment, epochs, options) = load("photographs"), kind
    run, seconds = trained(experiment, data, epochs, seed, prior="uniform", **options)
    x, found = data.test["x"], decoded(run, data.test["x"])
    parameters = sum(p.numel() for part in (run.model, run.guide) for p in part.parameters())
    share = float((found - x).square().mean() / x.var())
    cell = {"seed": seed, "grids": name, "squared error / variance": share, "seconds": seconds}
    return cell | {"epochs": epochs, "parameters": parameters}, found


def of_photographs(x: Tensor, setting: str, seeds: list[int], jobs: int) -> dict[str, Any]:
    """Squared errors by crop of each kind in a setting, and what one grid has more."""
    kinds = SETTINGS[setting]
    errors: dict[str, list[Tensor]] = {name: [] for name in kinds}
    cells, pictures = [], {"data": x}
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        tasks = [(name, kind, seed) for seed in seeds for name, kind in kinds.items()]
        for cell, found in pool.map(of_crops, *zip(*tasks, strict=True)):
            cells.append(cell)
            pictures[cell["grids"]] = found
            errors[cell["grids"]].append((found - x).square().mean(1))
            print("photographs", setting, cell, flush=True)
    each = {name: torch.stack(found) / x.var() for name, found in errors.items()}
    two = each.pop("two grids")
    more = {
        name: {"crops": paired(one - two), "rows of crops": paired(blocks(one - two))}
        for name, one in each.items()
    }
    return {"kept": {"cells": cells, "more with": more}, "pictures": pictures}


def paired(differences: Tensor) -> dict[str, float]:
    """Their mean by seed and row, (S, R), and the ends of its 95 % interval."""
    return paired_interval(differences.double().numpy())._asdict()


def blocks(each: Tensor) -> Tensor:
    """Means over the crops of every second row of each picture, (S, 26), which share no pixel."""
    # 25 rows of 7 crops in each of the two pictures, 16 pixels apart and 32 high.
    return each.reshape(-1, 2, 25, 7)[:, :, ::2].mean(3).flatten(1)


def picture(pictures: dict[str, Tensor], drawn: Tensor, shape: Any) -> Figure:
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
    parts = ["mnist", "photographs", "draws"]
    parser.add_argument("--parts", nargs="+", default=parts, choices=parts)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--settings", nargs="+", default=["768"], choices=list(SETTINGS))
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time on photographs")
    parser.add_argument("--name", default="vq", help="of the record and the picture")
    parser.add_argument("--mnist-epochs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    chosen = parser.parse_args()
    if "draws" in chosen.parts and "photographs" not in chosen.parts:
        parser.error("draws stand beside photographs; ask for both.")
    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    chosen.out.mkdir(parents=True, exist_ok=True)
    if "photographs" in chosen.parts:
        data = load("photographs")
        made = {
            setting: of_photographs(data.test["x"], setting, chosen.seeds, chosen.jobs)
            for setting in chosen.settings
        }
        found["photographs"] = {setting: each["kept"] for setting, each in made.items()}
    if "draws" in chosen.parts:
        name, epochs, options = SETTINGS[chosen.settings[0]]["two grids"]
        run, _ = trained(name, data, epochs, 0, **options)
        drawn = torch.as_tensor(ppvae.sample(run, 32)["x_mean"].values)
        figure = picture(made[chosen.settings[0]]["pictures"], drawn, data.image_shape)
        figure.savefig(chosen.out / f"{chosen.name}.png", dpi=100)
    if "mnist" in chosen.parts:
        found["mnist"] = of_mnist(chosen.mnist_epochs, chosen.seeds)
    command = f"python benchmarks/vq.py {' '.join(sys.argv[1:])}".strip()
    write_record(chosen.out / f"{chosen.name}.json", command, chosen.seeds, **found)
    for setting, each in found.get("photographs", {}).items():
        print(setting, {name: value for name, value in each.items() if name != "cells"})
    return 0


if __name__ == "__main__":
    sys.exit(main())
