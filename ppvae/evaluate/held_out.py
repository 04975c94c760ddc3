"""The rows on which a pair is judged, whoever gives them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ppvae.data import SPLITS, Data
from ppvae.pair import Batch, as_batch, fields_asked
from ppvae.scope import Program

__all__ = ["HeldOut", "held_out"]


@dataclass(frozen=True)
class HeldOut:
    """Rows with their numbers in the data set.

    Attributes:
        batch: positional arguments and named fields of all rows.
        row: each row's number in the data set, (N,).
        attrs: in words: the data's name, the split, the binarisation.
    """

    batch: Batch
    row: NDArray[np.int64]
    attrs: dict[str, str]

    def __len__(self) -> int:
        """N, the number of rows."""
        return len(self.row)

    @property
    def x(self) -> Tensor:
        """The data, (N, ...)."""
        args, fields = self.batch
        return args[0] if args else fields["x"]

    def num_values(self, model: Program) -> NDArray[np.int64]:
        """P, how many values of x the model scores in each row, (N,)."""
        fields, asked = self.batch[1], fields_asked(model)
        if "mask" in fields and (asked is None or "mask" in asked):
            return fields["mask"].flatten(1).sum(1).cpu().numpy()
        return np.full(len(self), self.x[0].numel())


def held_out(run: Any, data: Any, split: str) -> HeldOut:
    """The rows of a split of a data set, or all rows that are given.

    Args:
        run: whose data they are where none are given.
        data: a data set; or x, (N, ...), a tuple of arguments, or named fields; or None.
        split: "train", "valid" or "test" of a data set.

    Raises:
        ValueError: an unknown split, no data, no rows x, NaN or infinity, or rows of another shape
            than the run was trained on.
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}; got {split!r}.")
    data = getattr(run, "data", None) if data is None else data
    if data is None:
        raise ValueError("data must be given where run is no run with data of its own; got None.")
    attrs = {"data": "", "split": "", "binarize": ""}
    if isinstance(data, Data):
        attrs = {"data": data.name, "split": split, "binarize": data.binarize}
        # Whatever the pair says of its dtype, a data set has none of its own.
        data = data.to(data.train["x"].device, torch.get_default_dtype()).splits[split]
    args, fields = _without_holes(as_batch(data))
    named = dict(fields) | {"x" if i == 0 else f"argument {i + 1}": a for i, a in enumerate(args)}
    x = named.get("x")
    if not isinstance(x, Tensor) or x.dim() == 0 or len(x) == 0:
        raise ValueError(f"data must have rows x, (N, ...); got {_found(x, named)}.")
    _refuse_not_finite(named)
    _refuse_shape(run, x)
    index = named.get("index")
    row = np.arange(len(x)) if index is None else index.cpu().numpy()
    return HeldOut((args, fields), row, attrs)


def _without_holes(batch: Batch) -> Batch:
    """The batch with 0 where a mask hides NaN or infinity, which not every program steps over."""
    args, fields = batch
    x, mask = fields.get("x"), fields.get("mask")
    if not isinstance(x, Tensor) or not isinstance(mask, Tensor) or mask.shape != x.shape:
        return batch
    return args, {**fields, "x": x.masked_fill(~mask.bool() & ~x.isfinite(), 0)}


def _found(x: Any, named: dict[str, Any]) -> str:
    if x is None:
        return f"fields {sorted(named)}"
    return f"shape {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__


def _refuse_not_finite(named: dict[str, Any]) -> None:
    for name, value in named.items():
        if isinstance(value, Tensor) and value.is_floating_point():
            bad = ~torch.isfinite(value)
            if bool(bad.any()):
                row = int(bad.nonzero()[0][0])
                raise ValueError(f"{name} must be finite; got {value[bad][0].item()} in row {row}.")


def _refuse_shape(run: Any, x: Tensor) -> None:
    trained_on = getattr(run, "data", None)
    if not isinstance(trained_on, Data):
        return
    expected = tuple(trained_on.train["x"].shape[1:])
    if tuple(x.shape[1:]) != expected:
        raise ValueError(
            f"x must have rows of the shape that the run was trained on, {expected}; "
            f"got {tuple(x.shape[1:])}."
        )
