"""What a person sees while gradients are drawn: a bar in a terminal, or lines in a file."""

from __future__ import annotations

import sys
import time

from rich.progress import BarColumn, TextColumn, TimeRemainingColumn

from ppvae.progress import Shown, started_bar

__all__ = ["DrawsProgress"]


class DrawsProgress(Shown):
    """Shows gradients as they are drawn.

    Args:
        estimators: how many there are.
        num_draws: gradients of each.
        shown: whether to show anything at all.
    """

    def __init__(self, estimators: int, num_draws: int, shown: bool = True) -> None:
        self._estimators = estimators
        self._num_draws = num_draws
        self._shown = shown
        self._label = ""
        self._done = 0
        self._start = time.perf_counter()

    def __enter__(self) -> DrawsProgress:
        self._bar = started_bar(
            self._shown,
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} gradients"),
            TimeRemainingColumn(),
        )
        if self._bar is not None:
            self._task = self._bar.add_task("", total=self._estimators * self._num_draws)
        return self

    def begin(self, label: str) -> None:
        """The gradients of an estimator come now."""
        self._label = label
        self._start = time.perf_counter()
        if self._bar is not None:
            self._bar.update(self._task, description=label)

    def advance(self, draws: int) -> None:
        """So many were drawn."""
        if self._bar is not None:
            self._bar.advance(self._task, draws)

    def end(self) -> None:
        """Those of the estimator are all there."""
        self._done += 1
        if self._bar is None and self._shown:
            taken = time.perf_counter() - self._start
            text = f"gradients {self._done}/{self._estimators}: {self._label}, {self._num_draws:,}"
            print(f"{text} draws in {taken:.1f} s", file=sys.stderr, flush=True)
