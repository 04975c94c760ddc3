"""A comparison as a page to read, and as a table and a figure for a paper."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from ppvae.compare.panels import (
    above_which,
    by_coordinate,
    by_draws,
    by_parts,
    sample_pictures,
    while_training,
)
from ppvae.compare.pictures import drawable
from ppvae.compare.summary import groups
from ppvae.compare.table import caption, columns, rows
from ppvae.plot.looks import looks_of
from ppvae.report import Block, Page, Pictures, Section, Table

__all__ = ["page_of", "table_of"]

_WORDS = ("estimator", "in Pyro")
_CAPTIONS = (
    "What each estimator reached, in nats per datum.",
    "How tight it is, in nats per datum, and whether the weights can be trusted.",
    "What it cost, and how it moved at the end.",
)
_SENTENCE = re.compile(r"(?<=\.) (?=[A-Z])")
_LEAST_FOR_SAMPLES = 150


def page_of(
    dataset: xr.Dataset, samples: Mapping[str, xr.Dataset], verdict: str, notes: Sequence[str]
) -> Page:
    """The report.

    Args:
        dataset: of the comparison.
        samples: images from the prior by estimator.
        verdict: in words, a line for each data set.
        notes: what went wrong or was left out.
    """
    sections = [Section("The table", [*_tables(dataset), caption(dataset)])]
    return Page(
        title=_title(dataset),
        question=_question(dataset),
        verdict=[each for line in verdict.splitlines() for each in _SENTENCE.split(line)],
        sections=[*sections, *_pictures(dataset, samples)],
        settings=_settings(dataset),
        versions=_versions(dataset),
        command=str(dataset.attrs["command"]),
        notes=notes,
    )


def table_of(dataset: xr.Dataset) -> Table:
    """What a paper would print of it: what each estimator reached."""
    return _tables(dataset)[0]


def _tables(dataset: xr.Dataset) -> list[Table]:
    cells = columns(rows(dataset))
    return [Table(each, words, _WORDS) for each, words in zip(cells, _CAPTIONS, strict=True)]


def _pictures(dataset: xr.Dataset, samples: Mapping[str, xr.Dataset]) -> list[Section]:
    looks = looks_of(str(name) for name in dataset["estimator"].values)
    kinds = {
        "How far apart they are": (above_which, by_parts, by_draws),
        "While training": (while_training,),
        "Weights and codes": (by_coordinate,),
    }
    own = [dataset.sel(estimator=names) for names in groups(dataset)]
    found = {
        title: [picture for each in own for draw in draws for picture in draw(each, looks)]
        for title, draws in kinds.items()
    }
    sections = [Section(title, [Pictures(each)]) for title, each in found.items() if each]
    images = drawable(samples)
    if images:
        how = next(iter(images.values()))["x_mean"].attrs["how"]
        words = (
            f"{how.capitalize()} of p(x|z) at codes z from the prior, first seed; all on the same "
            "data in the same shades."
        )
        squares = [
            picture
            for names in groups(dataset)
            for picture in sample_pictures({n: images[n] for n in names if n in images})
        ]
        blocks: list[Block] = [words, Pictures(squares, _LEAST_FOR_SAMPLES)]
        sections.append(Section("Samples of each model", blocks))
    return sections


def _title(dataset: xr.Dataset) -> str:
    number = dataset.sizes["estimator"]
    return f"{number} estimator{'s' if number > 1 else ''} on {_what(dataset)}"


def _question(dataset: xr.Dataset) -> str:
    if dataset.sizes["estimator"] == 1:
        return f"How well does {dataset['estimator'].values[0]} train {_what(dataset)}?"
    return (
        f"Which estimator trains {_what(dataset)} to the highest log p(x) of held-out rows, after "
        "equal steps and after equal seconds of training?"
    )


def _what(dataset: xr.Dataset) -> str:
    """The experiments and their data."""
    pairs = zip(dataset["experiment"].values, dataset["data_words"].values, strict=True)
    return " and ".join(
        f"{experiment} ({str(words).split(' (')[0]})" for experiment, words in dict.fromkeys(pairs)
    )


def _settings(dataset: xr.Dataset) -> dict[str, str]:
    """What decides the numbers; where experiments differ, of each."""
    of_each: dict[str, dict[str, str]] = {}
    for name, text in zip(dataset["experiment"].values, dataset["settings"].values, strict=True):
        if text and str(name) not in of_each:
            of_each[str(name)] = _said(json.loads(str(text)))
    steps = dataset["step"].max(["seed", "point"])
    for name, settings in of_each.items():
        its = steps.isel(estimator=(dataset["experiment"] == name).values)
        settings["steps"] = f"{float(its.max()):,.0f}"
    keys = dict.fromkeys(key for settings in of_each.values() for key in settings)
    shared = {
        "experiment": "; ".join(of_each),
        "data": "; ".join(dict.fromkeys(map(str, dataset["data_words"].values))),
        **{key: _joined({n: each.get(key, "-") for n, each in of_each.items()}) for key in keys},
    }
    return shared | {
        "seeds": ", ".join(str(seed) for seed in dataset["seed"].values),
        "draws for log p(x)": f"{dataset.attrs['num_particles']:,} on test rows, "
        f"{dataset.attrs['curve_particles']:,} on validation rows",
        "confidence": f"{dataset.attrs['confidence']:.0%}, of all intervals together",
    }


def _said(settings: Mapping[str, Any]) -> dict[str, str]:
    """The settings of a run in words."""
    options = ", ".join(f"{name} {value}" for name, value in settings["options"].items())
    path, clip = settings["experiment_path"], settings["clip_norm"]
    return {
        **({"file": f"{Path(path).name}, sha256 {settings['experiment_sha256']}"} if path else {}),
        **({"options": options} if options else {}),
        **({"epochs": f"{settings['epochs']:,}"} if settings["steps"] is None else {}),
        "steps": "",
        "rows in a step": f"{settings['batch_size']:,}",
        "optimizer": settings["optimizer"],
        **({"largest norm of a gradient": f"{clip:g}"} if clip is not None else {}),
        "device": settings["device"],
        "threads": f"{settings['threads']}",
        "compile": settings["compile"],
    }


def _joined(values: Mapping[str, str]) -> str:
    if len(set(values.values())) == 1:
        return next(iter(values.values()))
    return "; ".join(f"{name}: {value}" for name, value in values.items())


def _versions(dataset: xr.Dataset) -> dict[str, str]:
    attrs = dataset.attrs
    used_gpu = any('"device": "cuda' in str(text) for text in dataset["settings"].values)
    return {
        **{name: str(attrs[name]) for name in ("ppvae", "python", "torch", "pyro")},
        "machine": f"{attrs['system']}, {attrs['machine']}, {attrs['cores']} cores",
        **({"gpu": str(attrs["gpu"])} if used_gpu else {}),
    }
