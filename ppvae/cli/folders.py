"""Folders for what a command keeps."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

__all__ = ["free_folder"]


def free_folder(label: str) -> Path:
    """A folder below runs/ that is not taken yet: the label, with a number if need be."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", label)
    folders = (Path("runs", f"{name}-{n}" if n > 1 else name) for n in itertools.count(1))
    return next(folder for folder in folders if not folder.exists())
