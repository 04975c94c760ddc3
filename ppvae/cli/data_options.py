"""The options that say which data, and the data they stand for."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from ppvae.cli.kinds import at_least_one, one_of, seed, text, whole

if TYPE_CHECKING:
    from ppvae.data import Data, Source
    from ppvae.experiment import Recipe

__all__ = ["add_data_dir", "add_data_options", "data_of"]

_MODES = ("dynamic", "once", "none", "fixed")


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Add a group of options that name and shape the data."""
    group = parser.add_argument_group("data")
    group.add_argument(
        "--data",
        type=text,
        metavar="NAME_OR_PATH",
        help="a data set of `ppvae list`, a .npy, .npz or .pt file, or a folder of images "
        "(default: the experiment's own)",
    )
    group.add_argument(
        "--binarize",
        type=one_of(_MODES),
        metavar="HOW",
        help="dynamic: grey values drawn as 0 or 1 anew in each epoch; once; none; or fixed "
        "(default: the data set's own)",
    )
    group.add_argument(
        "--image-size", type=whole, metavar="SIDE", help="side in pixels of a folder's images"
    )
    group.add_argument(
        "--crop",
        action=argparse.BooleanOptionalAction,
        help="crop a folder's images to their central square first",
    )
    group.add_argument(
        "--channels", type=whole, metavar="1_OR_3", help="grey or colour for a folder's images"
    )
    _add_hole_options(group)
    _add_label_options(group)
    add_data_dir(group)


def _add_hole_options(group: argparse._ActionsContainer) -> None:
    group.add_argument(
        "--missing",
        type=text,
        metavar="HOW",
        help="leave values out: pixels:FRACTION, block:SIDE, strokes:NUMBER, "
        "strokes:NUMBER:WIDTH, quadrants:OBSERVED, or none",
    )
    group.add_argument(
        "--masks",
        type=one_of(("once", "anew")),
        metavar="WHEN",
        help="once: the data really are incomplete; anew: each epoch hides other values of the "
        "training rows (default: the experiment's own, else once)",
    )


def _add_label_options(group: argparse._ActionsContainer) -> None:
    group.add_argument(
        "--labels",
        type=at_least_one,
        metavar="N",
        help="keep the labels of N training rows, balanced over classes (default: all)",
    )
    group.add_argument(
        "--label-seed", type=seed, metavar="S", help="of which rows keep theirs (default: 0)"
    )


def add_data_dir(parser: argparse._ActionsContainer) -> None:
    """Add the option that says where the files of built-in data lie."""
    parser.add_argument(
        "--data-dir",
        type=text,
        metavar="FOLDER",
        help="where the files of built-in data lie (default: PPVAE_DATA, else ~/.cache/ppvae)",
    )


def data_of(
    arguments: argparse.Namespace, recipe: Recipe, loaded: dict[Source, Data] | None = None
) -> Data:
    """The data asked for; where nothing is asked, the experiment's own.

    Args:
        arguments: the parsed command line.
        recipe: the experiment.
        loaded: data that are there already; what is loaded joins them.

    Raises:
        ValueError: an unknown name, or values that break a rule.
        TypeError: a file that holds another kind of values.
        OSError: a file is missing.
    """
    from ppvae.data import load

    # What the experiment wants of its data, not binarised for instance, it wants of others too.
    asked = {name: getattr(arguments, name) for name in ("binarize", "image_size", "channels")}
    asked |= {"name": arguments.data, "crop": arguments.crop}
    asked |= {"missing": arguments.missing, "masks": arguments.masks}
    asked |= {"labels": arguments.labels, "label_seed": arguments.label_seed}
    given = {name: value for name, value in asked.items() if value is not None}
    if arguments.missing == "none":
        given |= {"missing": None, "masks": arguments.masks or "once"}
    source = replace(recipe.data, **given)
    known = {} if loaded is None else loaded
    if source not in known:
        known[source] = load(source, data_dir=arguments.data_dir)
    return known[source]
