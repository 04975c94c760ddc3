"""How an epoch is cut into batches: each row once, or few labelled rows beside the others."""

from collections.abc import Iterator

import torch
from torch import Tensor

from ppvae.data.batches import shuffled
from ppvae.data.fields import Fields
from ppvae.data.streams import stream

__all__ = ["Batching"]


class Batching:
    """The batches of every epoch of a training, each a function of (seed, epoch) alone.

    Args:
        fields: of the training rows; which of them have a label is the same in each epoch.
        batch_size: rows in a batch, at least 1; the last one of an epoch may be shorter.
        labelled: how many rows of each batch have a label: drawn with replacement, the classes in
            turn. The others go through all rows without one, each once in an epoch. None goes
            through all rows alike, each once.

    Attributes:
        steps: batches in an epoch.

    Raises:
        ValueError: labelled is not between 1 and batch_size - 1, or there are no rows of a kind.
    """

    def __init__(self, fields: Fields, batch_size: int, labelled: int | None = None) -> None:
        self.batch_size = batch_size
        self._drawn = labelled or 0
        self._free: Tensor | None = None
        first = next(iter(fields.values()))
        num_rows, self._device = len(first), first.device
        if labelled is not None:
            self._free, self._known, self._starts, self._counts = _kinds(
                fields, batch_size, labelled
            )
            num_rows = len(self._free)
        self._passed = num_rows
        self.steps = -(-num_rows // (batch_size - self._drawn))

    def rows_after(self, steps: int) -> int:
        """How many rows the first steps of an epoch take."""
        return min(steps * (self.batch_size - self._drawn), self._passed) + steps * self._drawn

    def rows(self, *, seed: int, epoch: int) -> Iterator[Tensor]:
        """The numbers of the rows of each batch of an epoch, (B,) each.

        Args:
            seed: of the order and of the labelled rows.
            epoch: its number.
        """
        order = {"seed": seed, "epoch": epoch}
        if self._free is None:
            yield from shuffled(self._passed, self.batch_size, **order, device=self._device)
            return
        size = self.batch_size - self._drawn
        others = shuffled(self._passed, size, **order, device=self._device)
        for known, free in zip(self._labelled_rows(seed, epoch), others, strict=True):
            yield torch.cat([known, self._free[free]])

    def _labelled_rows(self, seed: int, epoch: int) -> Tensor:
        """The labelled rows of each batch, (steps, labelled)."""
        device = self._device
        generator = stream("labelled rows", seed=seed, epoch=epoch, device=device)
        number = self.steps * self._drawn
        uniform = torch.rand(number, generator=generator, device=device, dtype=torch.float64)
        turn = torch.arange(number, device=device) % len(self._counts)
        within = (uniform * self._counts[turn]).long()
        return self._known[self._starts[turn] + within].reshape(self.steps, self._drawn)


def _kinds(fields: Fields, batch_size: int, labelled: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Rows without a label, rows with one by class, and where each class starts and how many."""
    if not 1 <= labelled < batch_size:
        raise ValueError(
            f"labelled_per_batch must be from 1 to {batch_size - 1}, below batch_size; "
            f"got {labelled}."
        )
    first = next(iter(fields.values()))
    y = fields.get("y", torch.full((len(first),), -1, device=first.device))
    free, known = ((y < 0).nonzero().flatten(), (y >= 0).nonzero().flatten())
    if not len(free) or not len(known):
        raise ValueError(
            "labelled_per_batch must be left out unless some training rows have a label and some "
            f"have none; got {len(known)} and {len(free)}."
        )
    by_class = known[y[known].argsort(stable=True)]
    counts = y[known].unique(return_counts=True)[1]
    return free, by_class, counts.cumsum(0) - counts, counts
