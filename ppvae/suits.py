"""Whether all rows of the data suit a pair, seen before a training and not in its midst."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import pyro
import torch
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.constraints import Constraint

from ppvae.data import Data
from ppvae.distributions import rule_of
from ppvae.estimators import SemiSupervised
from ppvae.pair import Pair
from ppvae.prepare import first_rows
from ppvae.tracing import rehearsal, trace_pair

__all__ = ["refuse_labels", "refuse_outside"]


def refuse_outside(data: Data, support: Constraint) -> None:
    """Refuse rows that the model gives no density, in whichever batch they would come.

    Raises:
        ValueError: such a row, with its split and its number there.
    """
    for split, fields in data.splits.items():
        try:
            # Masks that are drawn anew hide other values in the next epoch.
            inside = _inside(support, fields, heeded=data.source.masks == "once")
        except (NotImplementedError, RuntimeError):
            # The support moves with the parameters of each row.
            continue
        inside = inside.reshape(len(inside), -1).all(1)
        if not bool(inside.all()):
            row = int((~inside).nonzero()[0])
            raise ValueError(
                f"x must lie in the support of the model's likelihood{rule_of(support)}; "
                f"got {split} row {row}, "
                f"from {fields['x'][row].min():g} to {fields['x'][row].max():g}."
            )


def _inside(support: Constraint, fields: Mapping[str, Tensor], heeded: bool) -> Tensor:
    """Whether each row, or value of a row that its mask may hide, lies in the support."""
    if "mask" not in fields or not heeded:
        return support.check(fields["x"])
    while isinstance(support, constraints.independent):
        support = support.base_constraint
    return support.check(fields["x"]) | ~fields["mask"]


def refuse_labels(estimator: Any, pair: Pair, data: Data, batch_size: int) -> None:
    """Show a pair every label that the data hold, so that it refuses one before work starts.

    Args:
        estimator: what is to be optimised.
        pair: model and guide; one that does not ask for the field "y" is not looked at.
        data: of the training.
        batch_size: rows in a batch.

    Raises:
        ValueError: the pair refuses a label; or the estimator follows labels, and there is none.

    Warns:
        UserWarning: some classes have a labelled training row and others none.
    """
    asked = {name for fields in pair.scope.asked.values() for name in fields or ()}
    known = data.train["y"][data.train["y"] >= 0] if "y" in data.train else torch.empty(0)
    if isinstance(estimator, SemiSupervised) and not ("y" in asked and len(known)):
        raise ValueError(
            "SemiSupervised must have labelled training rows and a guide that takes labels y; "
            f"got {len(known)} such rows and programs that take {sorted(asked)}."
        )
    if "y" not in asked or "y" not in data.train:
        return
    classes = 0
    for split, batch in _batches_of_labels(data, batch_size):
        try:
            with pair.entered(), rehearsal(pair), pyro.validation_enabled(False):
                guide = trace_pair(pair, ((), batch), 1)[0][1]
        except ValueError as error:
            # Pyro adds a table of shapes to whatever a program raises.
            words = " ".join(str(error).split("Trace Shapes:")[0].split()).rstrip(".")
            raise ValueError(f"{words} in the {split} rows.") from error
        nodes = guide.nodes.values()
        sites: list[Any] = [site["fn"] for site in nodes if site["type"] == "sample"]
        classes = max([0, *(fn.param_shape[-1] for fn in sites if hasattr(fn, "log_label"))])
    missing = sorted({*range(classes)} - {*known.unique().tolist()})
    if len(known) and missing:
        warnings.warn(
            f"classes without a labelled training row are told from others by nothing; "
            f"got {missing[:5]}, {len(missing)} of {classes}.",
            stacklevel=4,
        )


def _batches_of_labels(data: Data, batch_size: int) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Batches like those of the training, whose labels are all that a split holds."""
    rows = first_rows(data, batch_size)
    for split, fields in data.splits.items():
        for labels in fields["y"].unique().split(len(rows["y"])):
            turn = torch.arange(len(rows["y"]), device=labels.device) % len(labels)
            yield split, rows | {"y": labels[turn]}
