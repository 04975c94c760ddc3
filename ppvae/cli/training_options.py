"""The options that say how a pair is trained."""

from __future__ import annotations

import argparse

from ppvae.cli.kinds import at_least_one, number, one_of, text, whole

__all__ = ["COMPILE", "add_length", "add_training_options"]

# Those of ppvae.capture by name, so that help need not import it.
COMPILE = ("auto", "replay", "inductor", "off")


def add_length(group: argparse._ActionsContainer) -> None:
    """Add the options that say how long."""
    either = group.add_mutually_exclusive_group()
    either.add_argument("--epochs", type=whole, metavar="N", help="passes over the training rows")
    either.add_argument("--steps", type=whole, metavar="N", help="instead of epochs, steps in all")


def add_training_options(group: argparse._ActionsContainer) -> None:
    """Add the options that say how, apart from estimator and seed."""
    add_length(group)
    group.add_argument("--batch-size", type=whole, metavar="ROWS", help="rows in a step")
    group.add_argument("--lr", type=number, metavar="RATE", help="learning rate of Adam")
    group.add_argument(
        "--clip-norm",
        type=number,
        metavar="NORM",
        help="the largest norm of a step's gradient (default: no limit)",
    )
    group.add_argument(
        "--device",
        type=text,
        default="auto",
        help="auto (a GPU if there is one), cpu, cuda or cuda:1 (default: auto)",
    )
    group.add_argument(
        "--threads",
        type=at_least_one,
        metavar="N",
        help="CPU threads; small networks run best on one (default: compare 1, fit torch's own)",
    )
    group.add_argument(
        "--compile",
        type=one_of(COMPILE),
        metavar="HOW",
        help="how a step is computed: replay (Pyro's operations without its Python, the same "
        "bits), inductor (these compiled, the same up to rounding), off (Python each time), auto "
        "(what pays for a run of this length; default)",
    )
