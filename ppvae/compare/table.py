"""A comparison to read: as rows, as text for a terminal or a log, as HTML for a notebook."""

from __future__ import annotations

import csv
import html
import io
import math
from collections.abc import Mapping, Sequence

import xarray as xr
from rich import box
from rich.table import Table
from rich.text import Text

from ppvae.compare.statistics import UNITS
from ppvae.compare.summary import groups
from ppvae.evaluate.pareto import khat_threshold
from ppvae.intervals import Interval

__all__ = ["as_csv", "as_html", "caption", "columns", "rows", "tables"]

Row = dict[str, str | float]

_EQUAL_SECONDS = "difference_at_equal_seconds"


def rows(dataset: xr.Dataset) -> list[Row]:
    """One row for each estimator: its name, its name in Pyro, and its statistics."""
    summary = dataset["summary"]
    found = []
    for label in dataset["estimator"].values:
        line = dataset.sel(estimator=label)
        row: Row = {
            "experiment": str(line["experiment"].item()),
            "estimator": str(line["name"].item()),
            "in_pyro": str(line["in_pyro"].item()),
        }
        row |= {name: float(summary.sel(estimator=label, statistic=name)) for name in UNITS}
        found.append(row)
    return found


def as_csv(table: Sequence[Row]) -> str:
    """The rows as CSV; what is not known is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(table[0]), lineterminator="\n")
    writer.writeheader()
    for row in table:
        writer.writerow({name: "" if _is_nan(value) else value for name, value in row.items()})
    return text.getvalue()


def tables(table: Sequence[Row]) -> list[Table]:
    """The columns as tables for a terminal."""
    return [_drawn(each) for each in columns(table)]


def columns(table: Sequence[Row]) -> list[dict[str, list[str]]]:
    """The cells of three tables by heading: what was reached, how tightly, at what cost."""
    reached = {
        "estimator": _name(table),
        "own bound": [_number(row["own_bound"]) for row in table],
        "ELBO": [_number(row["elbo"]) for row in table],
        "log p(x) ± s.e.": [_pair(row, "log_evidence") for row in table],
        "exact": [_number(row["log_evidence_exact"]) for row in table],
        "vs first, equal steps": [_interval(row, "difference") for row in table],
        "vs first, equal seconds": [_interval(row, _EQUAL_SECONDS) for row in table],
    }
    tight = {
        "estimator": _name(table),
        "gap ± s.e.": [_pair(row, "gap") for row in table],
        "gap to exact ± s.e.": [_pair(row, "gap_exact") for row in table],
        "k-hat": [_number(row["khat"]) for row in table],
        "rows above": [_share(row["khat_above"]) for row in table],
        "KL": [_number(row["kl"]) for row in table],
        "active": [_number(row["active_units"], 1) for row in table],
    }
    cost = {
        "estimator": _name(table),
        "in Pyro": [str(row["in_pyro"]) for row in table],
        "last tenth ± s.e.": [_moved(row) for row in table],
        "ms/step": [_number(row["ms_per_step"]) for row in table],
        "seconds": [_number(row["seconds"], 1) for row in table],
    }
    found = [reached, tight, cost]
    # What is known of no estimator, an exact log p(x) for one, has no column.
    return [{name: cells for name, cells in each.items() if any(cells)} for each in found]


def caption(dataset: xr.Dataset) -> str:
    """What the columns are, in a few sentences."""
    attrs = dataset.attrs
    sentences = [
        "All in nats per datum.",
        f"log p(x): by importance weighting with {attrs['num_particles']:,} draws on the test "
        "rows, s.e. over seeds and rows.",
    ]
    if any(len(names) > 1 for names in groups(dataset)):
        sentences.append(
            "vs first: paired differences in log p(x), with intervals that hold together at "
            f"{attrs['confidence']:.0%} (Bonferroni); at equal seconds of training they are those "
            f"of the curves, of validation rows with {attrs['curve_particles']} draws. Seconds "
            "leave out what is done once for all seeds: capturing and compiling a step."
        )
    sentences += [_of_group(dataset.sel(estimator=names)) for names in groups(dataset)]
    if shared := sorted({name for text in dataset["shared"].values for name in text.split()}):
        sites = f"'{shared[0]}'" if len(shared) == 1 else f"{len(shared)} sites for all rows"
        sentences.append(f"log p(x): the log predictive density, {sites} drawn from the guide.")
    sentences.append(
        "gap: log p(x) of the trained pair minus the own bound, s.e. over seeds and draws; "
        "negative where the own number lies above."
    )
    if "khat" in dataset:
        threshold = khat_threshold(int(attrs["num_particles"]))
        sentences.append(
            "k-hat: shape of the tail of the weights, median over seeds and test rows; rows above: "
            f"share of them above {threshold:.2f}, where log p(x) is not to be trusted."
        )
    sentences.append(
        "KL: summed over the code; active: its coordinates whose mean moves with x; "
        "last tenth: how much the curve rose in it."
    )
    if (dataset["summary"].sel(statistic="unconverged") == 1).any():
        sentences.append("*: not converged, it moved by more than the differences at stake.")
    return " ".join(sentences)


def _of_group(own: xr.Dataset) -> str:
    """The data of some estimators, their first, and how long equal seconds are."""
    first = own.isel(estimator=0)
    test, valid = (
        int((own[name].notnull().sum(list(own[name].dims[:-1])) > 0).sum())
        for name in ("log_evidence", "curve")
    )
    text = f"{first['data_words'].item()}: {test:,} test and {valid:,} validation rows"
    if own.sizes["estimator"] == 1:
        return f"{text}."
    moment = float(first["summary"].sel(statistic="equal_seconds"))
    return f"{text}, the first is {first['estimator'].item()}, equal seconds are {moment:.1f} s."


def as_html(table: Sequence[Row], texts: Sequence[str]) -> str:
    """The rows as an HTML table, and paragraphs below it."""
    names = [name for name in table[0] if not all(_is_nan(row[name]) for row in table)]
    head = "".join(f"<th>{html.escape(name.replace('_', ' '))}</th>" for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(_cell(row[name]))}</td>" for name in names) + "</tr>"
        for row in table
    )
    below = "".join(f"<p>{html.escape(text)}</p>" for text in texts if text)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{below}"


def _drawn(columns: Mapping[str, Sequence[str]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        words = name in ("estimator", "in Pyro")
        table.add_column(name, justify="left" if words else "right", overflow="fold")
    for line in zip(*columns.values(), strict=True):
        # As text: in a plain string, capacity:100:10 would have a picture in it.
        table.add_row(*map(Text, line))
    return table


def _name(table: Sequence[Row]) -> list[str]:
    several = len({row["experiment"] for row in table}) > 1
    return [
        f"{row['experiment']} {row['estimator']}" if several else f"{row['estimator']}"
        for row in table
    ]


def _interval(row: Row, name: str) -> str:
    value, low, high = (float(row[each]) for each in (name, f"{name}_low", f"{name}_high"))
    return "" if math.isnan(value) else str(Interval(value, low, high))


def _pair(row: Row, name: str, sign: str = "") -> str:
    value, error = float(row[name]), float(row[f"{name}_se"])
    return "" if math.isnan(value) else f"{value:{sign}.2f} ± {error:.2f}"


def _moved(row: Row) -> str:
    """How much the curve rose at the end, with a mark where the verdict calls it unconverged."""
    return f"{_pair(row, 'rising', '+')}{'*' if row['unconverged'] == 1 else ''}"


def _share(value: str | float) -> str:
    return "" if _is_nan(value) else f"{value:.0%}"


def _number(value: str | float, digits: int = 2) -> str:
    return "" if _is_nan(value) else f"{value:.{digits}f}"


def _cell(value: str | float) -> str:
    return value if isinstance(value, str) else _number(value)


def _is_nan(value: str | float) -> bool:
    return isinstance(value, float) and math.isnan(value)
