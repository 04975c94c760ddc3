"""A bench of gradients as files: numbers, tables, pictures, and a page to read."""

from __future__ import annotations

import io
from pathlib import Path

import xarray as xr

from ppvae.atomic import write_whole
from ppvae.bench.pictures import by_estimator, snr_by_draws
from ppvae.bench.table import WORDS, as_csv, as_text, caption, columns, costs
from ppvae.bench.verdict import verdict
from ppvae.netcdf import save_dataset
from ppvae.report import Page, Picture, Pictures, Section, Table, write_report

__all__ = ["save"]

_CAPTIONS = {
    "variance": "Variance of the gradient",
    "snr": "Debiased signal-to-noise ratio (missing where the signal lies below the noise)",
}
_VERSIONS = ("ppvae", "python", "torch", "pyro", "machine", "device")


def save(found: xr.Dataset, folder: Path, *, what: str, command: str = "") -> None:
    """Write results.nc, table.csv, report.html and the pictures into a folder, each file whole.

    Args:
        found: what :func:`ppvae.gradients` returned.
        folder: that exists.
        what: the experiment and its state, in words.
        command: what repeats it in a shell.

    Raises:
        OSError: the folder cannot be written to.
    """
    said = verdict(found)
    save_dataset(found, folder / "results.nc")
    write_whole(folder / "table.csv", as_csv(found))
    write_whole(folder / "gradients.txt", as_text(found, said))
    pictures = _pictures(found)
    for name, picture in pictures.items():
        content = io.BytesIO()
        picture.figure.savefig(content, format="png", dpi=120)
        write_whole(folder / f"{name}.png", content.getvalue())
    tables = _tables(found)
    page = Page(
        title=f"Gradients of {found.sizes['estimator']} estimators on {what}",
        question="How much signal and how much noise has each gradient estimator, is it biased, "
        "and what does it cost?",
        verdict=said,
        sections=[
            Section("The tables", [*tables.values(), caption(found)]),
            Section("Variance and signal", [Pictures(list(pictures.values()))]),
        ],
        settings={
            "experiment": what,
            **{name: f"{found.attrs[name]:,}" for name in ("num_draws", "batches", "seed")},
        },
        versions={name: str(found.attrs[name]) for name in _VERSIONS},
        command=command,
    )
    table = tables.get("guide", next(iter(tables.values())))
    figures = [picture.figure for picture in pictures.values()]
    write_report(folder, page, table=table, figures=figures)


def _tables(found: xr.Dataset) -> dict[str, Table]:
    tables = {
        block: Table(columns(found, block), f"Gradients of the block '{block}'.", WORDS)
        for block in map(str, found["block"].values)
    }
    return tables | {"cost": Table(costs(found), "What one gradient costs.", WORDS)}


def _pictures(found: xr.Dataset) -> dict[str, Picture]:
    said = " ".join(verdict(found))
    pictures = {
        name: Picture(
            figure,
            caption=f"{_CAPTIONS[name.partition('-')[0]]} of the block "
            f"'{name.partition('-')[2]}', with standard errors.",
            alt=f"{_CAPTIONS[name.partition('-')[0]]} of each estimator. {said}",
        )
        for name, figure in by_estimator(found).items()
    }
    for block, figure in snr_by_draws(found).items():
        pictures[f"draws-{block}"] = Picture(
            figure,
            caption=f"Debiased signal-to-noise ratio of the block '{block}' against draws K.",
            alt=f"Signal-to-noise ratio of the block {block} against the number of draws K.",
        )
    return pictures
