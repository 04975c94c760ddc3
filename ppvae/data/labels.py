"""Few labels: those of some training rows kept, balanced over classes, and the others left out."""

from dataclasses import replace

import torch
from torch import Tensor

from ppvae.data.data import Data
from ppvae.data.streams import FixedStream

__all__ = ["count_classes", "keep_labels"]


def count_classes(data: Data, purpose: str) -> int:
    """C, one more than the largest label of any split.

    Args:
        data: with a field "y", -1 where not observed.
        purpose: what the labels are for, as the message has it.

    Raises:
        ValueError: the data have no labels, or none of their training rows has one.
    """
    y = data.train.get("y")
    if y is None or not bool((y >= 0).any()):
        raise ValueError(f"data must have labels y for {purpose}; got {data.name} without.")
    of_splits = [fields["y"] for fields in data.splits.values() if "y" in fields]
    return int(torch.cat(of_splits).max()) + 1


def keep_labels(data: Data, labels: int | None, seed: int = 0) -> Data:
    """The data with the labels of so many training rows; in the others y = -1, not observed.

    Which rows keep theirs depends on the seed and on the labels alone, and is the same on every
    machine. Each class has as many as any other, or one more, as long as it has rows; fewer labels
    of one seed are some of those that more of them would be. Held-out rows keep all of theirs.

    Args:
        data: with a field "y".
        labels: how many are kept; None keeps all.
        seed: of the choice.

    Raises:
        ValueError: the data have no labels, fewer than are to be kept, or more classes than that.

    Example:
        >>> from ppvae.data import load
        >>> data = keep_labels(load("digits"), 50)
        >>> data.train["y"][data.train["y"] >= 0].bincount()
        tensor([5, 5, 5, 5, 5, 5, 5, 5, 5, 5])
    """
    if labels is None:
        if seed:
            raise ValueError(f"label_seed must be 0 where all labels are kept; got {seed}.")
        return data
    y = data.train.get("y")
    if y is None or not bool((y >= 0).any()):
        raise ValueError(
            f"labels must be left out for data without labels; got {labels} with {data.name}."
        )
    known = (y >= 0).nonzero().flatten()
    classes = len(y[known].unique())
    if not classes <= labels <= len(known):
        raise ValueError(
            f"labels must be from {classes}, one a class, to {len(known)}, all of the training "
            f"rows; got {labels}."
        )
    kept = known[_balanced(y[known], seed)[:labels]]
    fewer = torch.full_like(y, -1)
    fewer[kept] = y[kept]
    note = (
        f"{labels} of {len(known)} training labels kept, balanced over {classes} classes "
        f"(label seed {seed})"
    )
    source = replace(data.source, labels=labels, label_seed=seed)
    return replace(data, source=source, train=data.train | {"y": fewer}, notes=(*data.notes, note))


def _balanced(y: Tensor, seed: int) -> Tensor:
    """The rows in a random order of which each beginning holds the classes equally often, (N,)."""
    draws = FixedStream("labels", seed=seed)
    order = torch.from_numpy(draws.permutation(len(y)))
    classes = y.unique()
    # In each round, which class comes first.
    turns = torch.from_numpy(draws.permutation(len(classes)))
    key = torch.empty(len(y), dtype=torch.int64)
    for label, turn in zip(classes, turns, strict=True):
        rows = order[(y[order] == label)]
        key[rows] = torch.arange(len(rows)) * len(classes) + turn
    return key.argsort()
