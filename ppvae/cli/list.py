"""`ppvae list`: experiments, data sets and estimators by name."""

from __future__ import annotations

import argparse
import shutil
import textwrap
from collections.abc import Mapping

from ppvae.cli.outline import outlines
from ppvae.cli.parser import Verb

__all__ = ["LIST"]

_WIDEST = 100


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument_group("options")


def _run(arguments: argparse.Namespace) -> int:
    if arguments.words:
        raise ValueError(f"list must stand alone; got {arguments.words[0]!r}.")
    experiments = {each.name: f"{each.summary} (on {each.data})" for each in outlines()}
    _show("experiments (ppvae fit NAME, or a file my_pair.py)", experiments)
    # From here on torch is needed, which takes a moment.
    from ppvae import data, named

    _show("data sets (--data NAME, or a file or folder)", data.NAMES)
    _show("estimators (--estimator NAME, or mine.py:MyBound)", named.NAMES)
    _show("parts behind a name, as in iwae:5+dreg", named.PARTS)
    return 0


def _show(title: str, lines: Mapping[str, str]) -> None:
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    column = max(map(len, lines)) + 4
    print(f"{title}:")
    for name, text in lines.items():
        print(
            textwrap.fill(
                text,
                width=width,
                initial_indent=f"  {name}".ljust(column),
                subsequent_indent=" " * column,
                break_on_hyphens=False,
            )
        )
    print(flush=True)


LIST = Verb(
    name="list",
    summary="experiments, data sets and estimators by name",
    usage="",
    description=("Print experiments, data sets and estimators by name."),
    add_options=_add_options,
    run=_run,
)
