"""Data simulated from known processes: what a trained pair can find out is known exactly.

Each set comes from a stream of its own with seed 0, the same on every machine, and is split by the
rows' numbers: the rows are independent.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from ppvae.data.fields import SPLITS, Fields, Raw
from ppvae.data.streams import FixedStream

__all__ = [
    "SIMULATION_SEED",
    "simulate_clusters",
    "simulate_gaussian_toy",
    "simulate_layers",
    "simulate_squares",
    "simulate_two_classes",
    "two_means",
]

SIMULATION_SEED = 0


def simulate_gaussian_toy() -> Raw:
    """1024 + 256 + 256 rows x ~ N(z, I) with z ~ N(mu, I) in 20 dimensions, mu ~ N(0, I) once.

    Source: Rainforth et al. (2018), arXiv:1802.04537, on their 1024 training rows.
    """
    draws = FixedStream("gaussian toy", seed=SIMULATION_SEED)
    mu = draws.normal(20)
    x = mu + draws.normal(1536, 20) + draws.normal(1536, 20)
    return _raw({"x": x}, 1024, "x ~ N(z, I), z ~ N(mu, I), one mu ~ N(0, I)")


def simulate_clusters() -> Raw:
    """10000 + 1000 + 1000 values x ~ N(10 y, 5^2) of 20 clusters, p(y) in proportion to 5 + y.

    The labels y are kept as the field "y".

    Source: Le et al. (2019), Revisiting reweighted wake-sleep, arXiv:1805.10469, on the process.
    """
    draws = FixedStream("clusters", seed=SIMULATION_SEED)
    share = 5.0 + np.arange(20)
    y = np.searchsorted(np.cumsum(share) / share.sum(), draws.uniform(12_000), side="right")
    x = 10.0 * y[:, None] + 5.0 * draws.normal(12_000, 1)
    return _raw({"x": x, "y": y}, 10_000, "x ~ N(10 y, 5^2), p(y) in proportion to 5 + y")


def simulate_two_classes() -> Raw:
    """2010 + 5000 + 5000 rows x ~ N(+-mu, I) in 50 dimensions, y = 0 or 1 alike, |mu| = 1.75.

    No rule is right more often than Phi(1.75) = 0.95994 of the time; the one that is, is linear.
    """
    draws = FixedStream("two classes", seed=SIMULATION_SEED)
    y = (draws.uniform(12_010) < 0.5).astype(np.int64)
    x = (2 * y - 1)[:, None] * two_means() + draws.normal(12_010, 50)
    return _raw({"x": x, "y": y}, 2010, "x ~ N(+-mu, I), |mu| = 1.75, p(y) = 1/2")


def two_means() -> NDArray[np.float64]:
    """The mean of class 1, (50,), 1.75 along a direction of no axis; class 0 has minus that."""
    direction = FixedStream("two means", seed=SIMULATION_SEED).normal(50)
    return 1.75 * direction / np.linalg.norm(direction)


def simulate_squares() -> Raw:
    """1024 + 256 + 256 values x ~ N(z^2, 0.5^2) with z ~ N(0, 1)."""
    draws = FixedStream("squares", seed=SIMULATION_SEED)
    x = np.square(draws.normal(1536, 1)) + 0.5 * draws.normal(1536, 1)
    return _raw({"x": x}, 1024, "x ~ N(z^2, 0.5^2), z ~ N(0, 1)")


def simulate_layers() -> Raw:
    """1024 + 256 + 256 values x ~ N(z1, 0.5^2) with z1 ~ N(2 tanh(z2), 0.5^2), z2 ~ N(0, 1)."""
    draws = FixedStream("layers", seed=SIMULATION_SEED)
    lower = 2.0 * np.tanh(draws.normal(1536, 1)) + 0.5 * draws.normal(1536, 1)
    x = lower + 0.5 * draws.normal(1536, 1)
    return _raw({"x": x}, 1024, "x ~ N(z1, 0.5^2), z1 ~ N(2 tanh(z2), 0.5^2), z2 ~ N(0, 1)")


def _raw(columns: dict[str, NDArray[np.generic]], num_train: int, process: str) -> Raw:
    """The first rows train, the rest validates and tests in equal parts."""
    held_out = (len(columns["x"]) - num_train) // 2
    kinds = {"x": torch.float32, "y": torch.int64}
    fields = {name: torch.tensor(column, dtype=kinds[name]) for name, column in columns.items()}
    parts = [field.split([num_train, held_out, held_out]) for field in fields.values()]
    splits: list[Fields] = [
        dict(zip(fields, part, strict=True)) for part in zip(*parts, strict=True)
    ]
    note = f"simulated with seed {SIMULATION_SEED}: {process}"
    return Raw(dict(zip(SPLITS, splits, strict=True)), None, (note,))
