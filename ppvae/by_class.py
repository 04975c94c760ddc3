"""What a model makes of each label: codes held while the label varies, and the other way round."""

from __future__ import annotations

from typing import Any

import torch
import xarray
from torch import Tensor

from ppvae.ancestral import model_trace, random_sites
from ppvae.generate import rows_like
from ppvae.latents import unflattened
from ppvae.means import observed_means
from ppvae.pair import Batch, Pair, fields_asked
from ppvae.passes import as_pair, at_rest, select_rows

__all__ = ["by_class"]


def by_class(
    run: Any,
    classes: int,
    num_codes: int = 8,
    *,
    like: Any = None,
    label: str = "y",
    code: str = "z",
    seed: int = 0,
) -> xarray.Dataset:
    """The mean of p(x|y, z) for each label at each of some codes from the prior.

    Along "label" the code is held and the class varies; along "code" the class is held. Latent
    sites beside the two are drawn anew in each place.

    Args:
        run: a run, a Pair or a tuple (model, guide).
        classes: C, the labels 0 to C - 1.
        num_codes: how many codes are drawn, at least 1.
        like: a batch whose first row stands for the fields that the model takes; the first
            training row of a run if not given.
        label: the label's name, a site of the model or a field that it needs.
        code: the site of the code.
        seed: of the draws.

    Returns:
        ``x_mean``, (code, label, pixel).

    Raises:
        ValueError: a number is below 1, there is no row to be like, or the model has no such site.
    """
    for name, number in {"classes": classes, "num_codes": num_codes}.items():
        if number < 1:
            raise ValueError(f"{name} must be at least 1; got {number}.")
    pair, like = as_pair(run), rows_like(run, like)
    with at_rest(pair, seed) as device:
        rows = torch.zeros(num_codes * classes, dtype=torch.int64)
        batch = select_rows(like, rows, device)
        labels = torch.arange(classes, device=device).repeat(num_codes)
        batch, held = _labelled(pair, batch, label, labels)
        free = dict(random_sites(model_trace(pair, batch, held)))
        if code not in free:
            raise ValueError(
                f"code must be a site of the model, one of {list(free)}; got {code!r}."
            )
        # The code of the first label, at all of them.
        held[code] = free[code]["value"][::classes].repeat_interleave(classes, 0)
        means = observed_means(model_trace(pair, batch, held), held, len(labels))
    return unflattened(means, code=num_codes, label=classes).assign_attrs(seed=seed)


def _labelled(
    pair: Pair, batch: Batch, name: str, labels: Tensor
) -> tuple[Batch, dict[str, Tensor]]:
    """The batch with its labels where they are a field, or values of a site where they are one."""
    args, fields = batch
    if (fields_asked(pair.model) or {}).get(name, False):
        return (args, {**fields, name: labels}), {}
    return batch, {name: labels}
