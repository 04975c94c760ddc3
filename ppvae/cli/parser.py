"""argparse, adapted: words first, options with dashes, errors that are one sentence."""

from __future__ import annotations

import argparse
import difflib
import re
import shlex
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

__all__ = ["Parser", "Verb", "parse", "unknown_word"]

Run = Callable[[argparse.Namespace], int]

# What argparse says, and what it means.
_WORDS = {
    "expected one argument": "must have a value; got none",
    "expected at least one argument": "must have a value; got none",
    "ignored explicit argument": "must have no value; got",
    "not allowed with argument": "must not be given with",
}


class Parser(argparse.ArgumentParser):
    """A parser of options alone, which raises ValueError where argparse prints usage and exits."""

    def __init__(self, prog: str, usage: str = "", description: str = "") -> None:
        super().__init__(
            prog=prog,
            usage=f"{prog} {usage}",
            description=textwrap.fill(description, 80),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            add_help=False,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """Refuse the command line.

        Raises:
            ValueError: always.
        """
        sentence = re.sub(r"^argument ([^\s:]+): ", r"\1 ", message)
        for theirs, ours in _WORDS.items():
            sentence = sentence.replace(theirs, ours)
        raise ValueError(f"{sentence} (see {self.prog} --help).")

    @property
    def names(self) -> list[str]:
        """The options as they are typed."""
        return sorted(set(re.findall(r"(?<!\S)--[a-z][a-z0-9-]*", self.format_help())))


@dataclass(frozen=True)
class Verb:
    """What can follow `ppvae`.

    Args:
        name: the word.
        summary: what it does, for the list of verbs.
        usage: the words that follow it.
        description: what its own help says above the options.
        add_options: adds its options to a parser.
        run: from the parsed command line to the exit code.
        takes_experiment: whether the words are experiments, whose options are options here.
    """

    name: str
    summary: str
    usage: str
    description: str
    add_options: Callable[[argparse.ArgumentParser], None]
    run: Run
    takes_experiment: bool = False

    @property
    def parser(self) -> Parser:
        """The parser of its options."""
        parser = Parser(f"ppvae {self.name}", f"{self.usage} [options]", self.description)
        self.add_options(parser)
        return parser


def parse(verb: Verb, words: Sequence[str]) -> argparse.Namespace:
    """The options of the verb by name, its words in `words`, and what it does not know in `rest`.

    The whole as a shell takes it is in `command`.

    Raises:
        ValueError: an option with a wrong value, or one that nobody can know.
    """
    first = next((i for i, word in enumerate(words) if word.startswith("-")), len(words))
    parser = verb.parser
    arguments, rest = parser.parse_known_args(_joined(words[first:]))
    stray = next((i for i, word in enumerate(rest) if word.startswith("-")), len(rest))
    arguments.words = [*words[:first], *rest[:stray]]
    arguments.rest = rest[stray:]
    arguments.command = shlex.join(["ppvae", verb.name, *words])
    if arguments.rest and not verb.takes_experiment:
        parser.error(unknown_word(arguments.rest, parser.names))
    return arguments


def unknown_word(rest: Sequence[str], names: Sequence[str]) -> str:
    """The sentence that refuses the first word that nothing takes."""
    word = rest[0].split("=")[0]
    if not word.startswith("-"):
        return f"experiments must come before their options; got {word!r} after them"
    near = difflib.get_close_matches(word[2:], [name[2:] for name in names], n=1)
    return f"option {word} is not known" + (f"; did you mean --{near[0]}?" if near else "")


def _joined(words: Sequence[str]) -> list[str]:
    """The words with `--lr -1e-3` written `--lr=-1e-3`, which argparse takes for two options."""
    joined: list[str] = []
    for word in words:
        if joined and joined[-1].startswith("--") and "=" not in joined[-1] and _negative(word):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def _negative(word: str) -> bool:
    """Whether the word is a negative number that is not whole."""
    try:
        return word.startswith("-") and not word[1:].isdigit() and bool(float(word) or True)
    except ValueError:
        return False
