"""NumPyro in a process of its own, with a number of threads of its own, asked over a pipe."""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from torch import Tensor
from turns import Timed

__all__ = ["NumPyro", "has_numpyro"]

SCRIPT = Path(__file__).with_name("numpyro_vae.py")


def has_numpyro(device: str = "cpu") -> bool:
    """Whether NumPyro is installed for a device, and a process can be held to some cores."""
    needed = ["numpyro"] if device == "cpu" else ["numpyro", "jax_cuda13_plugin"]
    return all(map(importlib.util.find_spec, needed)) and hasattr(os, "sched_setaffinity")


class NumPyro:
    """The VAE in NumPyro; it idles unless it is asked. Used as a context.

    Args:
        data: rows, (N, P).
        batch_size: B.
        threads: cores that it may use.
        seed: of its weights, noise and order of rows.
        device: "cpu" or "cuda".
    """

    def __init__(
        self, data: Tensor, batch_size: int, threads: int, seed: int = 0, device: str = "cpu"
    ) -> None:
        self._folder = tempfile.TemporaryDirectory()
        path = Path(self._folder.name) / "data.npy"
        np.save(path, data.cpu().numpy())
        flags = "--xla_cpu_multi_thread_eigen=false" if threads == 1 else ""
        cores = os.sched_getaffinity(0)
        # The child inherits the cores of who starts it.
        os.sched_setaffinity(0, sorted(cores)[:threads])
        try:
            self._process = subprocess.Popen(
                [sys.executable, SCRIPT, path, f"--batch-size={batch_size}", f"--seed={seed}"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": device},
            )
        finally:
            os.sched_setaffinity(0, cores)
        self.about: dict[str, Any] = self._answer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        # Its input ends, and so does it.
        self._process.communicate()
        self._folder.cleanup()

    def timed(self, what: str) -> Timed:
        """The seconds of steps of one kind, "jit" or "loop", in the child's own order of rows."""
        return lambda order: float(self.asked(what=what, steps=len(order)))

    def asked(self, **request: Any) -> Any:
        """The answer to a request."""
        if self._process.stdin is None:
            raise AssertionError("the child has a pipe")
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise RuntimeError(
                f"NumPyro's process must answer; got exit code {self._process.wait()}."
            )
        return json.loads(line)
