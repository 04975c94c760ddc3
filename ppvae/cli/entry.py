"""The door: words in, an exit code out, errors as one line."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Sequence

from ppvae.cli.check import CHECK
from ppvae.cli.compare import COMPARE
from ppvae.cli.evaluate import EVALUATE
from ppvae.cli.fit import FIT
from ppvae.cli.gradients import GRADIENTS
from ppvae.cli.impute import IMPUTE
from ppvae.cli.list import LIST
from ppvae.cli.parser import Verb, parse
from ppvae.cli.sample import SAMPLE
from ppvae.cli.sentences import sentence, warnings_as_sentences

__all__ = ["main"]

_ALL = (FIT, COMPARE, GRADIENTS, EVALUATE, SAMPLE, IMPUTE, CHECK, LIST)
_VERBS = {verb.name: verb for verb in _ALL}
_HELP = ("-h", "--help")
_USAGE = """usage: ppvae VERB [EXPERIMENT...] [--data NAME] [options]

Latent-variable models on Pyro: train a pair of model and guide, compare ELBO estimators on it.
An experiment is a name that `ppvae list` shows, a file my_pair.py, or my_pair.py:name; where none
is named it is `vae`, and where no data are named they are the experiment's own.

verbs:
{verbs}

The options of a verb: ppvae fit --help; with those of an experiment: ppvae fit vae --help.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the words after `ppvae`; those of the process unless given.

    Returns:
        The exit code: 0; 1 where training met NaN; 2 where the command, the data or the pair is
        refused; 130 where the user stopped it.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        with warnings_as_sentences():
            code = _run(words)
            sys.stdout.flush()
            return code
    except KeyboardInterrupt as stop:
        return _refused(str(stop) or "stopped.", 130)
    except BrokenPipeError:
        # The reader has gone; what is still buffered must not fail at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        said = sentence(error)
        if said is None:
            raise
        return _refused(said, 1 if isinstance(error, ArithmeticError) else 2)


def _run(words: list[str]) -> int:
    if not words or words[0] in _HELP:
        width = max(map(len, _VERBS))
        verbs = "\n".join(f"  {v.name:{width}}  {v.summary}" for v in _VERBS.values())
        print(_USAGE.format(verbs=verbs), end="")
        return 0
    if words[0] == "--version":
        from importlib.metadata import version

        print(f"ppvae {version('ppvae')}")
        return 0
    verb = _verb(words[0])
    if any(word in _HELP for word in words):
        print(_help(verb, [word for word in words[1:] if word not in _HELP]), end="")
        return 0
    return verb.run(parse(verb, words[1:]))


def _verb(word: str) -> Verb:
    if word not in _VERBS:
        near = difflib.get_close_matches(word, _VERBS, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"verb must be one of {', '.join(_VERBS)}; got {word!r}.{hint}")
    return _VERBS[word]


def _help(verb: Verb, words: list[str]) -> str:
    """The help of the verb, with that of the experiments named before the first option."""
    first = next((i for i, word in enumerate(words) if word.startswith("-")), len(words))
    if not verb.takes_experiment or not first:
        return verb.parser.format_help()
    from ppvae.cli.own_options import help_text
    from ppvae.experiment import find_recipe

    return help_text(verb, [find_recipe(word) for word in words[:first]])


def _refused(text: str, code: int) -> int:
    print(f"ppvae: {text}", file=sys.stderr, flush=True)
    return code
