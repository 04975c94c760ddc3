"""What an option's value may be: a number, a name, a list by spaces or commas."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["Listed", "at_least_one", "given", "number", "one_of", "seed", "text", "whole"]


def whole(word: str) -> int:
    """The whole number that the word writes."""
    try:
        return int(word)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a whole number; got {word!r}") from None


def at_least_one(word: str) -> int:
    """The number of things that the word writes."""
    value = whole(word)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1; got {value}")
    return value


def number(word: str) -> float:
    """The number that the word writes."""
    try:
        return float(word)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number; got {word!r}") from None


def seed(word: str) -> int:
    """The seed that the word writes."""
    value = whole(word)
    if not 0 <= value < 2**32:
        raise argparse.ArgumentTypeError(f"must be between 0 and 2**32 - 1; got {value}")
    return value


def text(word: str) -> str:
    """The word, if there is anything in it."""
    if not word:
        raise argparse.ArgumentTypeError("must not be empty; got ''")
    return word


def one_of(names: Sequence[str]) -> Callable[[str], str]:
    """The kind whose values are these names."""

    def name(word: str) -> str:
        if word not in names:
            near = difflib.get_close_matches(word, names, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise argparse.ArgumentTypeError(
                f"must be one of {', '.join(names)}; got {word!r}{hint}"
            )
        return word

    return name


def given(word: str) -> tuple[str, float | int]:
    """The site and the value of SITE=NUMBER; a whole number stays whole."""
    site, equals, value = word.partition("=")
    try:
        if not site or not equals:
            raise ValueError
        return site, int(value) if value.lstrip("-").isdigit() else float(value)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"must be written SITE=NUMBER, as in y=3; got {word!r}"
        ) from None


class Listed(argparse.Action):
    """A list whose items are parted by spaces, commas or another use of the same option."""

    def __init__(
        self,
        option_strings: Sequence[str],
        dest: str,
        kind: Callable[[str], Any] = text,
        **kwargs: Any,
    ) -> None:
        super().__init__(option_strings, dest, nargs="+", **kwargs)
        self.kind = kind

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Add the items of one use."""
        words = [word for value in values for word in value.split(",") if word]
        if not words:
            raise argparse.ArgumentError(self, "must have at least one item; got none")
        try:
            items = [self.kind(word) for word in words]
        except argparse.ArgumentTypeError as error:
            raise argparse.ArgumentError(self, str(error)) from None
        setattr(namespace, self.dest, [*(getattr(namespace, self.dest, None) or []), *items])
