"""A bench of gradients to read: text cells by block, for a terminal, a page or a paper; and CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence

import xarray as xr
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["WORDS", "as_csv", "as_text", "caption", "columns", "costs", "rows"]

Columns = dict[str, list[str]]

WORDS = ("estimator", "held against")
_WIDTH = 120
_NOISE = "noise"


def columns(found: xr.Dataset, block: str) -> Columns:
    """The cells of a block's table by heading."""
    own = found.sel(block=block)
    names = [str(name) for name in found["estimator"].values]
    lines = [own.sel(estimator=name) for name in names]
    return {
        "estimator": names,
        "held against": [_held(line) for line in lines],
        "|mean|": [_measured(line, "mean_norm") for line in lines],
        "bias": [_measured(line, "bias") if _is_held(line) else "" for line in lines],
        "off by": [_number(float(line["bias_z"]), "+.1f") for line in lines],
        "variance": [_number(float(line["variance"])) for line in lines],
        "SNR ± s.e.": [_with_error(line, "snr") for line in lines],
        "cosine": [_number(float(line["cosine"]), ".3f") for line in lines],
        "variance x ms": [_number(float(line["variance_time"])) for line in lines],
    }


def costs(found: xr.Dataset) -> Columns:
    """The cells of the table of what is the same for all blocks."""
    lines = [found.sel(estimator=name) for name in found["estimator"].values]
    said = {"timed as": [str(word) for word in found["timed_as"].values]}
    return {
        "estimator": [str(name) for name in found["estimator"].values],
        "reports ± s.e.": [_with_error(line, "bound", ".3f") for line in lines],
        "ms": [_number(float(line["ms"])) for line in lines],
        "[quartiles]": [
            f"[{float(line['ms_low']):.3g}, {float(line['ms_high']):.3g}]" for line in lines
        ],
        "peak MB": [_number(float(line["peak_bytes"]) / 1e6) for line in lines],
        "at once": [str(int(line["at_once"])) for line in lines],
        **(said if _is_captured(found) else {}),
    }


def caption(found: xr.Dataset) -> str:
    """What the columns are, in a few sentences."""
    attrs = found.attrs
    return (
        f"{attrs['num_draws']:,} gradients each of the mean bound per datum in nats, upwards, "
        "pooled over the coordinates of a block; parameters stay fixed. |mean|, bias, SNR = "
        "|mean| / sd and cosine are debiased; 'noise': smaller than can be seen with so many "
        "draws. Bias is against what the estimator aims at: exact, or the least noisy of the "
        "others that claim to be unbiased for it. Off by: in standard errors of the bias. "
        f"Variance: trace of the covariance. {_clock(found)} Standard errors: jackknife over "
        f"{attrs['batches']} batches of draws."
    )


def _clock(found: xr.Dataset) -> str:
    if not _is_captured(found):
        return (
            "ms and peak memory: of one ordinary gradient as Pyro's Python computes it, "
            "estimators taking turns; replayed or compiled it takes less (--compile)."
        )
    return (
        "ms: of one ordinary gradient once it is captured, as a long training computes it, "
        "estimators taking turns; eager: as Python, since it cannot be. Peak memory: as Python."
    )


def _is_captured(found: xr.Dataset) -> bool:
    return any(str(word) in ("replay", "inductor") for word in found["timed_as"].values)


def as_text(found: xr.Dataset, verdict: Sequence[str]) -> str:
    """All tables with their caption and the verdict, at most 120 columns wide."""
    console = Console(file=io.StringIO(), width=_WIDTH)
    with console.capture() as capture:
        for block in map(str, found["block"].values):
            size = int(found["num_parameters"].sel(block=block))
            console.print(f"{block}, {size:,} parameter{'s' if size > 1 else ''}", style="bold")
            console.print(_drawn(columns(found, block)))
        console.print("cost", style="bold")
        console.print(_drawn(costs(found)))
        console.print(Text(caption(found)))
        for sentence in verdict:
            console.print(Text(sentence))
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"


def rows(found: xr.Dataset) -> list[dict[str, str | float]]:
    """One row for each estimator and block, with every number."""
    return [
        {"estimator": str(name), "block": str(block)}
        | {str(key): found[key].sel(_only(found, str(key), name, block)).item() for key in found}
        for block in found["block"].values
        for name in found["estimator"].values
    ]


def as_csv(found: xr.Dataset) -> str:
    """The rows as CSV; what is not known is empty."""
    table = rows(found)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(table[0]), lineterminator="\n")
    writer.writeheader()
    for row in table:
        writer.writerow({name: "" if value != value else value for name, value in row.items()})
    return text.getvalue()


def _only(found: xr.Dataset, key: str, name: object, block: object) -> dict[str, object]:
    at = {"estimator": name, "block": block}
    return {str(dim): at[str(dim)] for dim in found[key].dims}


def _drawn(cells: Columns) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in cells:
        table.add_column(name, justify="left" if name in WORDS else "right", overflow="fold")
    for line in zip(*cells.values(), strict=True):
        table.add_row(*map(Text, line))
    return table


def _is_held(line: xr.Dataset) -> bool:
    return str(line["reference"].item()) not in ("itself", "nothing")


def _held(line: xr.Dataset) -> str:
    reference = str(line["reference"].item())
    return f"exact {line['target'].item()}" if reference == "exact" else reference


def _measured(line: xr.Dataset, name: str) -> str:
    return _number(float(line[name])) or _NOISE


def _with_error(line: xr.Dataset, name: str, form: str = ".3g") -> str:
    value, error = float(line[name]), float(line[f"{name}_se"])
    if math.isinf(value):
        return "no noise"
    return _NOISE if math.isnan(value) else f"{value:{form}} ± {error:.1g}"


def _number(value: float, form: str = ".3g") -> str:
    return "" if math.isnan(value) else f"{value:{form}}"
