"""Estimators by the names that people type: ``iwae:50``, ``iwae:5+dreg``, ``mine.py:MyBound``."""

from __future__ import annotations

import difflib
import inspect
from pathlib import Path
from typing import Any

import pyro.infer

from ppvae.estimators import Estimator
from ppvae.kinds import Kind
from ppvae.names import ALL, GRADIENTS, KINDS
from ppvae.own_file import run_file

__all__ = ["ALL", "NAMES", "PARTS", "estimator_named", "name_of", "pyro_name"]

NAMES: dict[str, str] = {name: kind.described(name) for name, kind in KINDS.items()}
PARTS: dict[str, str] = {
    **{f"+{name}": gradient.help for name, gradient in GRADIENTS.items()},
    "+expected": "enumerated labels summed outside of a K-sample bound, under q(y|x)",
}


def estimator_named(name: str) -> pyro.infer.ELBO:
    """The estimator of a name such as ``elbo``, ``iwae:50`` or ``iwae:5+dreg``.

    A class of one's own is ``mine.py:MyBound``; it is made without arguments.

    Raises:
        ValueError: no such name, or a setting that the estimator refuses.
    """
    path, *settings = name.split(":")
    if path.endswith(".py"):
        return _own(name, Path(path), settings)
    text, *parts = name.split("+")
    word, *settings = text.split(":")
    if word not in KINDS:
        near = difflib.get_close_matches(word, KINDS, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"estimator must be one of {', '.join(KINDS)} or mine.py:MyBound; got {name!r}.{hint}"
        )
    kind = KINDS[word]
    estimator: pyro.infer.ELBO = kind.estimator(
        _numbers(name, word, kind, settings), **_chosen(name, kind, parts)
    )
    return estimator


def name_of(estimator: Any) -> str:
    """The name under which an estimator is recorded: short for those that can be typed."""
    if hasattr(estimator, "named"):
        return str(estimator.named)
    for word, kind in KINDS.items():
        # By exact type: a class derived from one of these is another estimator.
        name = _spelled(word, kind, estimator) if type(estimator) is kind.made else None
        if name is not None:
            return name
    return repr(estimator) if isinstance(estimator, Estimator) else type(estimator).__name__


def pyro_name(estimator: Any) -> str:
    """What computes the same bound in Pyro, with its settings; "-" if nothing does."""
    if not isinstance(estimator, Estimator):
        pyros = {"alpha": "alpha"} if isinstance(estimator, pyro.infer.RenyiELBO) else {}
        return _in_pyro(type(estimator).__name__, pyros, estimator)
    name = name_of(estimator)
    kind = KINDS.get(name.split(":")[0])
    if kind is None or kind.in_pyro is None or "+" in name:
        return "-"
    return _in_pyro(*kind.in_pyro, estimator)


def _spelled(word: str, kind: Kind, estimator: Any) -> str | None:
    """The name that makes an estimator just like this one; None if this kind has none."""
    values = [setting.of(estimator) for setting in kind.settings]
    if None in values:
        return None
    defaults = [setting.default for setting in kind.settings]
    numbers = [] if kind.brief and values == defaults else [_exactly(value) for value in values]
    texts = [
        "+".join([":".join([word, *numbers]), *parts]) for parts in _part_names(kind, estimator)
    ]
    if not isinstance(estimator, Estimator):
        return texts[0]
    return next((t for t in texts if repr(estimator_named(t)) == repr(estimator)), None)


def _part_names(kind: Kind, estimator: Any) -> list[list[str]]:
    """What may stand behind the plus signs of an estimator's name."""
    expected = ["expected"] if "expected" in kind.parts and estimator.expected else []
    gradients = [name for name, part in GRADIENTS.items() if kind.parts and part.is_in(estimator)]
    return [expected, *([name, *expected] for name in gradients)]


def _chosen(name: str, kind: Kind, parts: list[str]) -> dict[str, Any]:
    """The parts behind the plus signs, by keyword of the estimator."""
    chosen: dict[str, Any] = {}
    for part in parts:
        if part == "expected" and "expected" in kind.parts:
            chosen["expected"] = True
        elif part == "dreg" and "doubly_reparameterized" in kind.parts:
            chosen["doubly_reparameterized"] = True
        elif part in GRADIENTS and "gradient" in kind.parts:
            chosen["gradient"] = GRADIENTS[part].make()
        else:
            raise ValueError(
                f"estimator must have parts that it takes, of {', '.join(PARTS)}; got {name!r}."
            )
    return chosen


def _in_pyro(kind: str, settings: dict[str, str], estimator: Any) -> str:
    texts = [
        f"{word}={value if value.isdigit() else format(getattr(estimator, value), 'g')}"
        for word, value in settings.items()
    ]
    particles = getattr(estimator, "num_particles", 1)
    texts += [f"num_particles={particles}"] if particles != 1 else []
    return f"{kind}({', '.join(texts)})"


def _exactly(number: float) -> str:
    """A number in the fewest digits that give it back."""
    short = f"{number:g}"
    exact = short if float(short) == number else repr(number)
    # A plus sign in a name stands before a part.
    return exact.replace("+", "")


def _numbers(name: str, word: str, kind: Kind, texts: list[str]) -> list[Any]:
    """The settings behind a name as numbers."""
    try:
        if len(texts) > len(kind.settings):
            raise ValueError
        return [setting.kind(text) for setting, text in zip(kind.settings, texts, strict=False)]
    except ValueError as error:
        form = ":".join([word, *(setting.word for setting in kind.settings)])
        raise ValueError(f"estimator must be written {form}; got {name!r}.") from error


def _own(name: str, path: Path, settings: list[str]) -> pyro.infer.ELBO:
    module, _ = run_file(path)
    classes = {
        key: value
        for key, value in vars(module).items()
        if inspect.isclass(value)
        and issubclass(value, pyro.infer.ELBO)
        and value.__module__ == module.__name__
    }
    if len(settings) != 1 or settings[0] not in classes:
        raise ValueError(
            f"estimator must name a class of {path}, one of {sorted(classes)}; got {name!r}."
        )
    try:
        estimator: pyro.infer.ELBO = classes[settings[0]]()
    except TypeError as error:
        raise ValueError(
            f"estimator must be made without arguments; got {name!r}: {error}."
        ) from error
    estimator.named = f"{path.resolve()}:{settings[0]}"  # type: ignore[attr-defined]
    return estimator
