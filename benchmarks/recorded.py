"""What a benchmark leaves behind: its numbers, and all that it takes to get them again."""

import json
import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

import pyro
import torch

from ppvae.atomic import write_whole

__all__ = ["commit", "machine_kind", "write_record"]


def machine_kind() -> str:
    """The processor and how many of its cores there are, as far as the system tells."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if platform.system() == "Linux" else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{named[0] if named else platform.processor()}, {os.cpu_count()} cores"


def commit() -> str:
    """The commit that is checked out, "+ changes" if files differ from it; "" outside of git.

    Results may differ: they are what benchmarks leave behind.
    """
    folder = Path(__file__).parent
    asked = (
        ["git", "rev-parse", "HEAD"],
        ["git", "status", "--porcelain", "--", ":/", ":(exclude,top)benchmarks/results"],
    )
    try:
        head, changes = (
            subprocess.run(each, cwd=folder, capture_output=True, text=True, check=True).stdout
            for each in asked
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return head.strip() + (" + changes" if changes.strip() else "")


def write_record(path: Path, command: str, seeds: list[int], **found: Any) -> None:
    """Numbers and how they came about, as JSON."""
    made = {
        # Where the files of one machine lay helps nobody.
        "command": re.sub(r" --(out|cells) \S+", "", command),
        "seeds": seeds,
        "commit": commit(),
        "machine": machine_kind(),
        "threads": torch.get_num_threads(),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "pyro": pyro.__version__,
        },
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(made | found, indent=2) + "\n")
