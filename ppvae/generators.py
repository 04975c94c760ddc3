"""The states of all random generators that a program may draw from."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["generator_states", "generators_put_back", "restore_generators"]


def generator_states() -> dict[str, Tensor]:
    """The states of PyTorch's, NumPy's and Python's global generators as tensors."""
    states = {"torch": torch.get_rng_state()}
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        states |= {f"cuda{i}": s for i, s in enumerate(torch.cuda.get_rng_state_all())}
    _, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    states["numpy"] = torch.tensor([*map(int, keys), int(position), int(has_gauss)])
    states["numpy_cached"] = torch.tensor(float(cached), dtype=torch.float64)
    version, inner, gauss = random.getstate()
    states["python"] = torch.tensor([version, *inner])
    states["python_cached"] = torch.tensor(
        float("nan") if gauss is None else gauss, dtype=torch.float64
    )
    return states


def restore_generators(states: Mapping[str, Tensor]) -> None:
    """Put the global generators into the states that :func:`generator_states` gave."""
    torch.set_rng_state(states["torch"])
    if torch.cuda.is_available():
        for name, state in states.items():
            if name.startswith("cuda"):
                torch.cuda.set_rng_state(state, int(name.removeprefix("cuda")))
    *keys, position, has_gauss = states["numpy"].tolist()
    numpy_state: Any = (
        "MT19937",
        np.array(keys, dtype=np.uint32),
        position,
        has_gauss,
        states["numpy_cached"].item(),
    )
    np.random.set_state(numpy_state)
    version, *inner = states["python"].tolist()
    gauss = states["python_cached"].item()
    random.setstate((version, tuple(inner), None if gauss != gauss else gauss))


@contextlib.contextmanager
def generators_put_back() -> Iterator[None]:
    """Draw inside this as you like: afterwards the global generators are as they were."""
    states = generator_states()
    try:
        yield
    finally:
        restore_generators(states)
