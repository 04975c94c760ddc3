"""What the captured step must reach, and whether it did."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

__all__ = ["COLUMNS", "DEMANDS", "Cell", "Demand", "cells"]

COLUMNS = ("vae-32", "vae-128", "vae-1024", "m2-128", "iwae-50-128")
Row = Mapping[str, Any]


class Demand(NamedTuple):
    """Limits on the time of our step, by workload."""

    words: str
    reference: str
    limits: Mapping[str, float]
    layer: bool = True  # whether, for M2, ours has the layer of several inputs
    slower: bool = False  # whether the reference is said to be slower by at least the limit


DEMANDS = (
    Demand(
        "hand-written eager PyTorch, default Adam",
        "eager",
        dict(zip(COLUMNS, (0.60, 0.80, 0.98, 0.65, 0.93), strict=True)),
    ),
    Demand("the same, ours through [x, y] too", "eager", {"m2-128": 0.95}, layer=False),
    Demand(
        "hand-written torch.compile with fused Adam",
        "compiled",
        dict(zip(COLUMNS, (0.80, 0.92, 1.02, 0.68, 1.02), strict=True)),
    ),
    Demand(
        "pyro.infer.SVI is slower by",
        "pyro",
        dict(zip(COLUMNS, (3.3, 1.8, 1.45, 2.3, 1.7), strict=True)),
        slower=True,
    ),
    Demand(
        "NumPyro fori_loop",
        "numpyro-loop",
        dict(zip(COLUMNS, (1.30, 1.20, 1.10), strict=False)),
    ),
)


class Cell(NamedTuple):
    """One limit, and the ratios that were measured by number of threads."""

    limit: float
    slower: bool
    found: Mapping[int, float]

    @property
    def met(self) -> bool | None:
        """Whether all keep the limit; None where nothing was measured."""
        if not self.found:
            return None
        ratios = self.found.values()
        return min(ratios) >= self.limit if self.slower else max(ratios) <= self.limit

    def __str__(self) -> str:
        sign = "≥" if self.slower else "≤"
        found = " / ".join(f"{ratio:.2f}" for ratio in self.found.values()) or "unmeasured"
        return f"{found} ({sign} {self.limit:.2f}{', missed' if self.met is False else ''})"


def cells(demand: Demand, steps: Sequence[Row]) -> dict[str, Cell]:
    """A row of the table: by workload, what is asked and what was measured."""
    return {
        workload: Cell(limit, demand.slower, _measured(demand, workload, steps))
        for workload, limit in demand.limits.items()
    }


def _measured(demand: Demand, workload: str, steps: Sequence[Row]) -> dict[int, float]:
    ours = "inductor+layer" if demand.layer and workload.startswith("m2") else "inductor"
    medians = {
        row["threads"]: row["over"][demand.reference][1]
        for row in steps
        if (row["workload"], row["contender"]) == (workload, ours)
        and demand.reference in row["over"]
    }
    return {threads: 1 / m if demand.slower else m for threads, m in medians.items()}
