"""A Python file of the user's, run as a module."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from types import ModuleType

__all__ = ["run_file"]


def run_file(path: Path) -> tuple[ModuleType, str]:
    """Run a Python file of the user's as a module, and its text.

    Raises:
        ValueError: the file cannot be read or run.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"experiment file must be readable; got {path}: {error}.") from error
    where = path.resolve()
    # Under a name of its own: a file may be called torch.py, and another one like it.
    module = ModuleType(f"{path.stem}@{hashlib.sha256(str(where).encode()).hexdigest()[:8]}")
    module.__file__ = str(where)
    # Dataclasses look for the module of their annotations here.
    sys.modules[module.__name__] = module
    try:
        # What runs is the text that is hashed, never bytecode cached from an earlier one.
        exec(compile(text, str(where), "exec", dont_inherit=True), vars(module))
    except SyntaxError as error:
        raise ValueError(
            f"experiment file must be valid Python; got {path}, line {error.lineno}: {error.msg}."
        ) from error
    except (Exception, SystemExit) as error:
        raise ValueError(
            f"experiment file must run; got {path}: {type(error).__name__}: {error}."
        ) from error
    return module, text
