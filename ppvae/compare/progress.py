"""What a person sees while runs follow one another: a bar in a terminal, a line a run in a file."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

from rich.progress import BarColumn, TextColumn

from ppvae.progress import Shown, started_bar

__all__ = ["RunsProgress", "clock"]


class RunsProgress(Shown):
    """Shows runs as they end, and how much time is left.

    The first runs of an estimator are expected to take what its first steps tell, later ones what
    the ones before took.

    Args:
        expected: what a run of each label costs relative to the others.
        seeds: how many runs each label will have.
        shown: whether to show anything at all.
    """

    def __init__(self, expected: Mapping[str, float], seeds: int, shown: bool = True) -> None:
        self._expected = expected
        self._left = dict.fromkeys(expected, seeds)
        self._took: dict[str, list[float]] = {label: [] for label in expected}
        self._total = seeds * len(expected)
        self._shown = shown
        self._start = time.perf_counter()

    def __enter__(self) -> RunsProgress:
        self._bar = started_bar(
            self._shown,
            TextColumn("run {task.completed}/{task.total}"),
            BarColumn(),
            TextColumn("{task.description}", markup=False),
        )
        if self._bar is not None:
            self._task = self._bar.add_task("", total=self._total)
        return self

    def begin(self, label: str, seed: int) -> None:
        """A run begins."""
        self._start = time.perf_counter()
        if self._bar is not None:
            left = f", {clock(self.left())} left" if any(self._took.values()) else ""
            self._bar.update(self._task, description=f"{label}, seed {seed}{left}")

    def end(self, label: str, seed: int, result: str) -> None:
        """A run ended with this result, in words."""
        self._took[label].append(time.perf_counter() - self._start)
        self._left[label] -= 1
        done = self._total - sum(self._left.values())
        if self._bar is not None:
            self._bar.update(self._task, completed=done)
        elif self._shown:
            left = f"; {clock(self.left())} left" if done < self._total else ""
            text = f"run {done}/{self._total}: {label}, seed {seed}: {result}{left}"
            print(text, file=sys.stderr, flush=True)

    def left(self) -> float:
        """The seconds that are left, from the runs that have ended."""
        took = sum(map(sum, self._took.values()))
        cost = sum(self._expected[label] * len(each) for label, each in self._took.items())
        unit = took / cost if cost else 0.0
        means = {
            label: sum(each) / len(each) if each else unit * self._expected[label]
            for label, each in self._took.items()
        }
        return sum(number * means[label] for label, number in self._left.items())


def clock(seconds: float) -> str:
    """Seconds as minutes and seconds."""
    whole = round(seconds)
    return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{whole} s"
