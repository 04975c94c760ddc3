"""A first look at a pair on the rows that it will meet first."""

from __future__ import annotations

from typing import Any

import torch

from ppvae.check import Report, check
from ppvae.data import Data
from ppvae.experiment import Recipe, build
from ppvae.pair import Pair

__all__ = ["first_look"]


def first_look(recipe: Recipe, data: Data, *, seed: int, **options: Any) -> Report:
    """What :func:`ppvae.check` finds on the first batch.

    Raises:
        ValueError: an option of the experiment breaks a rule.
    """
    experiment = build(recipe, data, seed=seed, **options)
    leaves = Pair(experiment.model, experiment.guide).leaves.values()
    dtype = next((leaf.dtype for leaf in leaves), torch.get_default_dtype())
    rows = data.to("cpu", dtype).epoch(0, seed)
    batch = {field: values[: experiment.batch_size] for field, values in rows.items()}
    return check(experiment.model, experiment.guide, batch)
