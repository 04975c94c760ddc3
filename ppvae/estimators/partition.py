"""Where the interval from the guide, at 0, to the model, at 1, is cut."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

__all__ = ["equally_spaced", "log_spaced", "partition_of"]


def log_spaced(partitions: int, first: float = 0.03) -> tuple[float, ...]:
    """0, beta_1 and then points up to 1 that are equally far apart in log beta.

    Args:
        partitions: P, at least 1; there are P + 1 points.
        first: beta_1, between 0 and 1; 0.03 is what the paper's authors took with 50 draws.

    Raises:
        ValueError: an argument is out of range.

    Source: Masrani, Le & Wood (2019), arXiv:1907.00031.
    """
    if partitions < 1:
        raise ValueError(f"partitions must be at least 1; got {partitions}.")
    if not 0 < first < 1:
        raise ValueError(f"first must be between 0 and 1; got {first}.")
    inner = [first ** (1 - i / (partitions - 1)) for i in range(partitions - 1)]
    return (0.0, *inner, 1.0)


def equally_spaced(partitions: int) -> tuple[float, ...]:
    """The P + 1 points 0, 1 / P, ..., 1.

    Raises:
        ValueError: partitions is below 1.
    """
    if partitions < 1:
        raise ValueError(f"partitions must be at least 1; got {partitions}.")
    return tuple(i / partitions for i in range(partitions + 1))


def partition_of(partition: int | Sequence[float]) -> tuple[float, ...]:
    """The points of a partition of [0, 1]: as given, or a number of them that are log-spaced.

    Raises:
        ValueError: the points do not rise from 0 to 1, or their number is below 1.
    """
    if isinstance(partition, int):
        return log_spaced(partition)
    points = tuple(float(point) for point in partition)
    rising = len(points) > 1 and all(below < above for below, above in pairwise(points))
    if not (rising and points[0] == 0 and points[-1] == 1):
        raise ValueError(f"partition must rise from 0 to 1; got {points}.")
    return points
