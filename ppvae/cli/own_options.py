"""The options of an experiment, which are the parameters of its function."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ppvae.cli.kinds import number, whole
from ppvae.cli.parser import Parser, Verb, unknown_word

if TYPE_CHECKING:
    from ppvae.experiment import Option, Recipe

__all__ = ["add_own_options", "help_text", "own_options"]

_KINDS = {int: whole, float: number, str: str}


def own_options(verb: Verb, recipes: Mapping[str, Recipe], rest: Sequence[str]) -> dict[str, Any]:
    """The options that were given, by name, from the words that the verb does not know.

    Args:
        verb: whose words they are.
        recipes: the experiments by the name that was typed.
        rest: what the verb does not know.

    Raises:
        ValueError: a word that is no option of each experiment, or has a wrong value.
    """
    shared: dict[str, Any] = {}
    for name, recipe in recipes.items():
        parser = Parser(f"ppvae {verb.name} {name}")
        add_own_options(parser, recipe, taken=verb.parser.names)
        given, unknown = parser.parse_known_args(list(rest))
        if unknown:
            parser.error(unknown_word(unknown, [*verb.parser.names, *parser.names]))
        shared |= {key: value for key, value in vars(given).items() if value is not None}
    return shared


def help_text(verb: Verb, recipes: Sequence[Recipe]) -> str:
    """The help of the verb, with the options of each experiment."""
    parser = verb.parser
    names, texts = parser.names, []
    for recipe in recipes:
        # Two experiments may have an option in common: each group is formatted by itself.
        own = Parser(parser.prog)
        add_own_options(own, recipe, taken=names)
        texts.append(own.format_help().partition("\n\n")[2])
    return "\n".join([parser.format_help(), *texts])


def add_own_options(
    parser: argparse.ArgumentParser, recipe: Recipe, *, taken: Sequence[str]
) -> None:
    """Add a group with the options of an experiment.

    Raises:
        ValueError: an option has a name that the command line has given away.
    """
    group = parser.add_argument_group(f"options of {recipe.name}")
    for option in recipe.schema.values():
        flag = f"--{option.name.replace('_', '-')}"
        if flag in taken or flag == "--help":
            raise ValueError(
                f"option '{option.name}' of experiment '{recipe.name}' must have another name; "
                f"{flag} is an option of every experiment."
            )
        group.add_argument(flag, dest=option.name, **_settings(option))


def _settings(option: Option) -> dict[str, Any]:
    words = f"{option.help.rstrip('.')} " if option.help else ""
    explained = f"{words}(default: {option.default})".replace("%", "%%")
    if option.kind is bool:
        return {"action": argparse.BooleanOptionalAction, "help": explained}
    metavar = {int: "WHOLE", float: "NUMBER", str: "TEXT"}[option.kind]
    return {"type": _KINDS[option.kind], "metavar": metavar, "help": explained}
