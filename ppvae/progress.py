"""What a person sees while a run goes on: a bar in a terminal, a line now and then in a file."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn

__all__ = ["EpochProgress", "Shown", "started_bar"]

_LINES = 10


def started_bar(shown: bool, *columns: ProgressColumn) -> Progress | None:
    """A bar on standard error, if it is to be shown and this is a terminal or a notebook."""
    console = Console(file=sys.stderr)
    if not shown or not (console.is_terminal or console.is_jupyter):
        return None
    bar = Progress(*columns, console=console)
    bar.start()
    return bar


class Shown:
    """What is seen while work goes on: a bar that ends with it, or lines where there is none."""

    _bar: Progress | None = None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()


class EpochProgress(Shown):
    """Shows epochs as they end.

    Args:
        title: what is running.
        epochs: how many there will be.
        shown: whether to show anything at all.
    """

    def __init__(self, title: str, epochs: int, shown: bool = True) -> None:
        self._title = title
        self._epochs = epochs
        self._shown = shown

    def __enter__(self) -> EpochProgress:
        self._bar = started_bar(
            self._shown,
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("epoch {task.completed}/{task.total}  {task.fields[bound]}"),
            TimeRemainingColumn(),
        )
        if self._bar is not None:
            self._task = self._bar.add_task(self._title, total=self._epochs, bound="")
        return self

    def show(self, epoch: int, record: Mapping[str, float]) -> None:
        """An epoch ended with these figures."""
        bound = f"validation bound {record['valid_bound']:.2f} nats"
        if self._bar is not None:
            self._bar.update(self._task, completed=epoch, bound=bound)
        elif self._shown and self._is_due(epoch):
            text = f"{self._title}: epoch {epoch}/{self._epochs}, {bound}"
            print(f"{text}, {record['seconds']:.1f} s of training", file=sys.stderr, flush=True)

    def _is_due(self, epoch: int) -> bool:
        return epoch * _LINES // self._epochs > (epoch - 1) * _LINES // self._epochs
