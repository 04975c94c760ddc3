"""The first line of a command, on the screen before anything heavy is imported."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ppvae.cli.outline import outline

__all__ = ["announce", "names_or_vae", "only_one"]


def names_or_vae(words: Sequence[str]) -> list[str]:
    """The experiments named; `vae` where none is."""
    return list(words) or ["vae"]


def only_one(words: Sequence[str]) -> str:
    """The one experiment named; `vae` where none is.

    Raises:
        ValueError: several are named.
    """
    first, *others = names_or_vae(words)
    if others:
        raise ValueError(f"one experiment must be named; got {', '.join(words)}.")
    return first


def announce(verb: str, names: Sequence[str], arguments: argparse.Namespace, *more: str) -> None:
    """Print what is about to run, as far as it can be known without running anything."""
    found = [outline(name) for name in names]
    experiments = ", ".join(
        each.name if each else name for each, name in zip(found, names, strict=True)
    )
    data = {each.data for each in found if each}
    if arguments.data is not None:
        data = {Path(arguments.data).name}
    on = f" on {data.pop()}" if len(data) == 1 else ""
    print(f"ppvae {verb}: {', '.join([experiments + on, *more])} ...", flush=True)
