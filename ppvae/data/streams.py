"""Random streams, each the function of a purpose, a seed and an epoch alone.

The three are hashed together, so that neither two purposes nor two neighbouring seeds or epochs
share a stream, and the global generators are never touched.
"""

import hashlib

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["FixedStream", "stream"]


def stream(purpose: str, *, seed: int, epoch: int, device: torch.device) -> torch.Generator:
    """A generator on the device, equal for equal (purpose, seed, epoch)."""
    return torch.Generator(device=device).manual_seed(_mixed(purpose, seed, epoch))


class FixedStream:
    """Draws that are the same on every machine and in every version.

    Torch and NumPy promise this of no distribution, NumPy does of a bit generator's raw words.
    """

    def __init__(self, purpose: str, *, seed: int) -> None:
        self._words = np.random.PCG64(_mixed(purpose, seed, 0))

    def uniform(self, *shape: int) -> NDArray[np.float32]:
        """Uniform draws on the 2^24 float32 multiples of 2^-24 in [0, 1)."""
        words = np.asarray(self._words.random_raw(int(np.prod(shape))))
        return (words >> np.uint64(40)).astype(np.float32).reshape(shape) * np.float32(2**-24)

    def normal(self, *shape: int) -> NDArray[np.float64]:
        """Standard normal draws, the quantiles of uniform ones, at most 5.5 from 0."""
        # Half a step up, so that no draw is the quantile of 0, which is infinite.
        level = torch.from_numpy(self.uniform(*shape)).double() + 2.0**-25
        return torch.special.ndtri(level).numpy()

    def permutation(self, size: int) -> NDArray[np.int64]:
        """The numbers 0 to size - 1 in random order, (size,)."""
        return np.argsort(np.asarray(self._words.random_raw(size)), kind="stable").astype(np.int64)


def _mixed(purpose: str, seed: int, epoch: int) -> int:
    digest = hashlib.sha256(f"{purpose} {seed} {epoch}".encode()).digest()
    return int.from_bytes(digest[:8], "little")
