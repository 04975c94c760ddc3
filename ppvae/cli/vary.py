"""`--vary OPTION=VALUE,VALUE`: one experiment in several kinds, side by side."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from ppvae.cli.own_options import own_options
from ppvae.cli.parser import Verb

if TYPE_CHECKING:
    from ppvae.experiment import Recipe

__all__ = ["Varied", "variants", "varied"]


class Varied(NamedTuple):
    """An option of experiments, and the values that it shall take."""

    name: str
    values: tuple[str, ...]


def varied(text: str) -> Varied:
    """The option and its values from what was typed.

    Raises:
        argparse.ArgumentTypeError: it is not OPTION=VALUE,VALUE.
    """
    name, equals, values = text.partition("=")
    found = tuple(value for value in values.split(",") if value)
    if not name or not equals or len(found) < 2 or len(set(found)) < len(found):
        raise argparse.ArgumentTypeError(
            f"must be OPTION=VALUE,VALUE with values that differ; got {text!r}"
        )
    return Varied(name.removeprefix("--").replace("-", "_"), found)


def variants(
    verb: Verb, recipes: Mapping[str, Recipe], rest: Sequence[str], vary: Varied | None
) -> list[Recipe]:
    """The experiments with their options; those that have the varied one, once for each value.

    Args:
        verb: whose words they are.
        recipes: the experiments by the name that was typed.
        rest: what the verb does not know.
        vary: the option that is varied, if one is.

    Raises:
        ValueError: a word that is no option of each experiment, a wrong value, or a varied option
            that none of them has.
    """
    options = own_options(verb, recipes, rest)
    if vary is None:
        return [replace(recipe, options=options) for recipe in recipes.values()]
    if not any(vary.name in recipe.schema for recipe in recipes.values()):
        names = sorted({name for recipe in recipes.values() for name in recipe.schema})
        raise ValueError(f"--vary must name one of the options {names}; got {vary.name!r}.")
    found = []
    for name, recipe in recipes.items():
        if vary.name not in recipe.schema:
            found.append(replace(recipe, options=options))
            continue
        for value in vary.values:
            flag = f"--{vary.name.replace('_', '-')}"
            own = own_options(verb, {name: recipe}, [*rest, flag, value])
            called = f"{recipe.name} {vary.name}={value}"
            found.append(replace(recipe, name=called, options=own))
    return found
