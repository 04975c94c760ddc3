"""Where compiled code is kept while a benchmark runs."""

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator

import torch

__all__ = ["empty_cache", "first_compile"]


@contextlib.contextmanager
def empty_cache() -> Iterator[None]:
    """Compile into a folder of this run, so that warm-ups do not depend on what ran before."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder
        try:
            yield
        finally:
            del os.environ["TORCHINDUCTOR_CACHE_DIR"]


def first_compile() -> float:
    """Seconds to compile next to nothing: what the first compilation does for all later ones."""
    start = time.perf_counter()
    x = torch.ones(64, 64, requires_grad=True)
    torch.compile(lambda x: (x.tanh() @ x).sum())(x).backward()
    return time.perf_counter() - start
