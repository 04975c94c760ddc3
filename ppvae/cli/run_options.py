"""The options that find a run again."""

from __future__ import annotations

import argparse

from ppvae.cli.data_options import add_data_dir
from ppvae.cli.kinds import text

__all__ = ["add_run_options"]


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add a group of options that say how to rebuild a run from its folder."""
    group = parser.add_argument_group("run")
    group.add_argument(
        "--experiment",
        type=text,
        metavar="NAME_OR_FILE",
        help="the run's experiment, named again because its file has changed or moved",
    )
    add_data_dir(group)
    group.add_argument(
        "--device",
        type=text,
        default="auto",
        help="auto (a GPU if there is one), cpu, cuda or cuda:1 (default: auto)",
    )
