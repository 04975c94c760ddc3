"""Whether a computation is being captured now, and how it says that it cannot be."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

__all__ = ["CannotCapture", "capturing", "refuse_capture", "while_capturing"]


class CannotCapture(Exception):
    """A computation must run as Python; the message says why."""


_depth = 0


def capturing() -> bool:
    """Whether operations are recorded now, to be run again without the Python around them."""
    return _depth > 0


def refuse_capture(reason: str) -> None:
    """Say that what comes next cannot be recorded; outside of a capture it does nothing.

    Raises:
        CannotCapture: a capture is going on.
    """
    if capturing():
        raise CannotCapture(reason)


@contextlib.contextmanager
def while_capturing() -> Iterator[None]:
    """Record operations inside this."""
    global _depth
    _depth += 1
    try:
        yield
    finally:
        _depth -= 1
