"""Errors meant for the person at the terminal, each as one sentence."""

from __future__ import annotations

import contextlib
import opcode
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

__all__ = ["one_line", "sentence", "warnings_as_sentences"]

_RAISE = opcode.opmap["RAISE_VARARGS"]


def sentence(error: BaseException) -> str | None:
    """What to tell the user, on one line; None if the error is a fault of the program.

    A sentence is meant for users if a file could not be used, or if ppvae or the user's own file
    *raised* it; what Python or a library raised below them is a fault, and keeps its traceback.
    """
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"file or folder must be usable; {error.filename}: {error.strerror.lower()}."
    if isinstance(error, OSError) or (
        isinstance(error, ValueError | TypeError | ArithmeticError) and _was_said(error)
    ):
        return one_line(error)
    return None


def one_line(error: BaseException) -> str:
    """The message of an error on one line, without the table of shapes that Pyro adds to it."""
    return " ".join(str(error).partition("Trace Shapes:")[0].split())


def _was_said(error: BaseException) -> bool:
    """Whether a statement `raise` of ppvae or of the user made the error."""
    trace = error.__traceback__
    if trace is None:
        return False
    while trace.tb_next is not None:
        trace = trace.tb_next
    code, name = trace.tb_frame.f_code, str(trace.tb_frame.f_globals.get("__name__"))
    raised = code.co_code[trace.tb_lasti] == _RAISE
    return raised and (name.split(".")[0] == "ppvae" or not _installed(code.co_filename))


def _installed(file: str) -> bool:
    """Whether a file belongs to Python or to an installed library."""
    folders = {sysconfig.get_path(kind) for kind in ("stdlib", "purelib", "platlib")}
    return any(Path(file).is_relative_to(folder) for folder in folders)


@contextlib.contextmanager
def warnings_as_sentences() -> Iterator[None]:
    """Inside this a warning is one line without its place in the source."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        text = " ".join(str(message).split())
        print(f"ppvae: note: {text}", file=sys.stderr, flush=True)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield
