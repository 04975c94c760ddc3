"""log p(x_hidden | x_observed): how well a pair foresees what it does not see."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from ppvae.evaluate.evaluation import evaluate
from ppvae.networks import filled
from ppvae.pair import Pair, fields_asked
from ppvae.passes import as_pair
from ppvae.scope import Program

__all__ = ["conditional_evidence"]


def conditional_evidence(
    run: Any,
    x: Tensor,
    mask: Tensor,
    *,
    guide: Program | None = None,
    num_particles: int = 1000,
    seed: int = 0,
    compile: str = "auto",
) -> xr.Dataset:
    r"""Estimates of log p(x_h | x_o), of what a mask hides given what it leaves.

    .. math:: \log p(x_h | x_o) = \log p(x) - \log p(x_o)

    Both terms are importance-weighted estimates with draws of their own: q(z | x) of whole rows for
    the first, q(z | x_o) for the second. Each is in expectation below what it estimates, by about
    (K / ESS - 1) / (2 K); so the first errs on the safe side and the second does not, and their
    difference is neither a lower nor an upper bound. Compare the errors and the effective sample
    sizes of both.

    Args:
        run: a run, a Pair or a tuple (model, guide) whose model asks for the field "mask".
        x: whole rows, (N, P).
        mask: true where x is observed, (N, P).
        guide: q(z | x) of whole rows; the pair's own unless given. A guide that was trained on
            rows with holes alone may know little of whole ones.
        num_particles: K.
        seed: of the draws.
        compile: as in :func:`ppvae.evaluate`.

    Returns:
        By row, in nats: ``conditional``, ``whole`` and ``observed``, the estimates of log p(x_h |
        x_o), log p(x) and log p(x_o), each with its standard error over draws ``..._se``, and the
        effective sample sizes ``whole_ess`` and ``observed_ess``. ``conditional_mean`` with its
        standard error over rows.

    Raises:
        ValueError: the model does not ask for a mask, or another shape of x or mask.
        TypeError: the mask is not boolean.
    """
    pair = as_pair(run)
    asked = fields_asked(pair.model)
    if asked is not None and "mask" not in asked:
        raise ValueError(
            f"model must ask for the field mask, to tell a hole from data; it asks for {[*asked]}."
        )
    judged = partial(evaluate, num_particles=num_particles, compile=compile)
    seen = {"x": filled(x, mask), "mask": mask}
    all_of_it = {"x": x, "mask": torch.ones_like(mask)}
    of_whole = pair if guide is None else Pair(pair.model, guide)
    # Draws of their own, so that the errors of the two add up.
    whole = judged(of_whole, all_of_it, seed=seed)
    observed = judged(pair, seen, seed=(seed + 1) % 2**32)
    found = xr.Dataset(coords={"row": ("row", np.arange(len(x)))})
    for name, part in (("whole", whole), ("observed", observed)):
        found[name] = part["log_evidence"].drop_vars("row")
        found[f"{name}_se"] = part["log_evidence_se"].drop_vars("row")
        found[f"{name}_ess"] = part["ess"].drop_vars("row")
    found["conditional"] = found["whole"] - found["observed"]
    found["conditional_se"] = np.hypot(found["whole_se"], found["observed_se"])
    found["conditional_mean"] = found["conditional"].mean()
    found["conditional_mean_se"] = found["conditional"].std(ddof=1) / len(x) ** 0.5
    return found.assign_attrs(num_particles=num_particles, seed=seed, units="nats")
