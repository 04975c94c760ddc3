"""What a benchmark leaves behind: its numbers, and all that it takes to get them again."""

import json
import os
import platform
from pathlib import Path
from typing import Any

import pyro
import torch

from ppvae.atomic import write_whole

__all__ = ["machine_kind", "write_record"]


def machine_kind() -> str:
    """The processor and how many of its cores there are, as far as the system tells."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if platform.system() == "Linux" else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{named[0] if named else platform.processor()}, {os.cpu_count()} cores"


def write_record(path: Path, command: str, seeds: list[int], **found: Any) -> None:
    """Numbers and how they came about, as JSON."""
    made = {
        "command": command,
        "seeds": seeds,
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
