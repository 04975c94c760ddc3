"""Minibatches of named fields."""

from collections.abc import Iterator

import torch
from torch import Tensor

from ppvae.data.fields import Fields
from ppvae.data.streams import stream

__all__ = ["batches", "shuffled"]


def batches(
    fields: Fields, batch_size: int, *, seed: int, epoch: int, shuffle: bool = True
) -> Iterator[Fields]:
    """Batches that hold each row once; the last one may be shorter.

    Args:
        fields: tensors of N rows on one device, such as `data.epoch(epoch, seed)`.
        batch_size: rows in a batch, at least 1.
        seed: equal (seed, epoch) give equal batches on equal devices.
        epoch: each epoch has its own order.
        shuffle: False keeps the order of the rows.

    Raises:
        ValueError: batch_size is below 1, or the fields disagree in their number of rows.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1; got {batch_size}.")
    num_rows = {name: len(field) for name, field in fields.items()}
    if len(set(num_rows.values())) != 1:
        raise ValueError(f"fields must have one number of rows; got {num_rows}.")
    return _batches(fields, batch_size, seed, epoch, shuffle)


def _batches(
    fields: Fields, batch_size: int, seed: int, epoch: int, shuffle: bool
) -> Iterator[Fields]:
    first = next(iter(fields.values()))
    if not shuffle:
        for start in range(0, len(first), batch_size):
            yield {name: field[start : start + batch_size] for name, field in fields.items()}
        return
    for rows in shuffled(len(first), batch_size, seed=seed, epoch=epoch, device=first.device):
        yield {name: field[rows] for name, field in fields.items()}


def shuffled(
    num_rows: int, batch_size: int, *, seed: int, epoch: int, device: torch.device
) -> tuple[Tensor, ...]:
    """The numbers of the rows of each batch, (B,) each: every row once, the last may be shorter."""
    generator = stream("shuffle", seed=seed, epoch=epoch, device=device)
    return torch.randperm(num_rows, generator=generator, device=device).split(batch_size)
