"""What an experiment's file says of itself, read without running it, so that no word waits."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Outline", "outline", "outlines", "usual_estimators"]


@dataclass(frozen=True)
class Outline:
    """An experiment as its source shows it.

    Attributes:
        name: the function's name, with dashes.
        summary: the first line of its docstring.
        data: the name of the data that it is run on unless told otherwise.
        estimators: those that are put side by side unless told otherwise; empty for the usual.
    """

    name: str
    summary: str
    data: str
    estimators: tuple[str, ...] = ()


def outlines() -> list[Outline]:
    """The built-in experiments by name."""
    spec = importlib.util.find_spec("ppvae.examples")
    folders = spec.submodule_search_locations if spec else None
    files = [path for folder in folders or () for path in Path(folder).glob("*.py")]
    found = [_outline(path) for path in files if path.stem != "__init__"]
    return sorted((each for each in found if each), key=lambda each: each.name)


def outline(name: str) -> Outline | None:
    """The outline of a built-in experiment or of a file, None where only running it can tell."""
    path, _, wanted = name.partition(":")
    if path.endswith(".py"):
        return _outline(Path(path), wanted.replace("-", "_"))
    named = (each for each in outlines() if each.name == name.replace("_", "-"))
    return next(named, None)


def usual_estimators(names: Sequence[str], otherwise: Sequence[str]) -> Sequence[str]:
    """The estimators of the first of these experiments that asks for some, or the given ones."""
    found = (each.estimators for each in map(outline, names) if each)
    return next(filter(None, found), otherwise)


def _outline(path: Path, wanted: str = "") -> Outline | None:
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and _makes(node)]
    chosen = [node for node in functions if not wanted or node.name == wanted]
    if len(chosen) != 1:
        return None
    summary = (ast.get_docstring(chosen[0]) or "").split("\n", 1)[0]
    name = chosen[0].name.replace("_", "-")
    return Outline(name, summary, _data(tree), _estimators(tree))


def _makes(function: ast.FunctionDef) -> bool:
    """Whether the function is annotated `-> Experiment`."""
    annotation = ast.unparse(function.returns) if function.returns else ""
    return annotation.strip("'\"").split(".")[-1] == "Experiment"


def _data(tree: ast.Module) -> str:
    """The name in `DATA = Source("name", ...)`."""
    for node in tree.body:
        match node:
            case ast.Assign(
                targets=[ast.Name(id="DATA")],
                value=ast.Call(args=[ast.Constant(value=str(name)), *_]),
            ):
                return name
    return "digits"


def _estimators(tree: ast.Module) -> tuple[str, ...]:
    """The names in `ESTIMATORS = ("name", ...)`."""
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id="ESTIMATORS")], value=ast.Tuple(elts=names)):
                return tuple(str(name.value) for name in names if isinstance(name, ast.Constant))
    return ()
