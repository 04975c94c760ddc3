"""What is measured of a run: a held-out curve while it goes on, and the test rows after it."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

import numpy as np
import pyro
import torch
import xarray as xr
from torch import Tensor

from ppvae.data import Fields
from ppvae.draws import log_terms
from ppvae.evaluate import evaluate
from ppvae.evaluate.evidence import estimate_evidence
from ppvae.pair import Pair
from ppvae.passes import at_rest
from ppvae.run import Run
from ppvae.state import held_out_bound
from ppvae.svi import SVI

__all__ = ["CURVE_PARTICLES", "CURVE_ROWS", "HeldOut", "measured"]

CURVE_PARTICLES = 100
CURVE_ROWS = 200

_SEED = 0
# Numbers in a tensor of x that are scored at once: on a CPU they should stay in the cache.
_AT_ONCE = 2**20
# The estimator's own bound is averaged over passes until so many draws were taken.
_OWN_DRAWS = 300_000
_LEAST_PASSES, _MOST_PASSES = 5, 20


class HeldOut:
    """The estimated log p(x) of the first validation rows after some epochs.

    The draws are the same each time and for every estimator, so that only the pair differs.

    Args:
        fields: the validation rows.
        looks: the epochs after which the pair is looked at.

    Attributes:
        epochs: those after which it was.
        rows: what was seen, by row, in nats.
    """

    def __init__(self, fields: Fields, looks: Collection[int]) -> None:
        self._fields = {name: values[:CURVE_ROWS] for name, values in fields.items()}
        self.index = np.arange(len(fields["x"]))[:CURVE_ROWS]
        self.epochs: list[int] = []
        self.rows: list[Tensor] = []
        self._looks = looks
        self._epoch = -1

    def __call__(self, pair: Pair) -> Mapping[str, float]:
        """Called after each epoch; the mean in nats per datum is for the run's history."""
        self._epoch += 1
        if self._epoch not in self._looks:
            return {}
        self.epochs.append(self._epoch)
        pyro.set_rng_seed(_SEED)
        like = next(iter(pair.leaves.values()))
        fields = {
            n: v.to(like) if v.is_floating_point() else v.to(like.device)
            for n, v in self._fields.items()
        }
        size = max(1, _AT_ONCE // fields["x"][0].numel() // CURVE_PARTICLES)
        values = []
        for start in range(0, len(self.index), size):
            part = {name: field[start : start + size] for name, field in fields.items()}
            terms = log_terms(pair.model, pair.guide, part, num_particles=CURVE_PARTICLES)
            values.append(estimate_evidence(terms.marginal.double()).value)
        self.rows.append(torch.cat(values).cpu())
        return {"held_out": float(self.rows[-1].mean())}


def measured(run: Run, held_out: HeldOut, num_particles: int) -> xr.Dataset:
    """All numbers of one run, in nats per datum unless their name says otherwise.

    Args:
        run: that was watched.
        held_out: what watched it.
        num_particles: K of the estimate of log p(x) on the test rows.

    Raises:
        ValueError: the pair has no p(x), or no density q(z|x) to estimate it with.
        NotFiniteError: a log-density is NaN.
    """
    found = evaluate(run, split="test", num_particles=num_particles, seed=_SEED)
    if "log_evidence" not in found:
        raise ValueError(f"compare needs log p(x) of the test rows; {found.attrs['note']}")
    history = run.history.isel(epoch=held_out.epochs)
    values = {name: ("row", found[name].values) for name in _BY_ROW if name in found}
    values |= {name: ("latent", found[name].values * 1.0) for name in _BY_LATENT if name in found}
    curve = torch.stack(held_out.rows).numpy()
    return xr.Dataset(
        {
            "step": ("point", history["step"].values * 1.0),
            "seconds": ("point", history["seconds"].values),
            "curve": (("point", "valid_row"), curve),
            **values,
            **_bounds(run, found),
            "kl": float(found["kl_mean"]) if "kl" in found else np.nan,
            "active_units": float(found["active"].sum()) if "active" in found else np.nan,
            "ms_per_step": _ms_per_step(run.history),
        },
        coords={"point": range(len(held_out.epochs)), "valid_row": held_out.index}
        | {name: found[name].values for name in ("row", "latent") if name in found.coords},
        attrs={
            "kind": f"{'probability' if 'bits_per_dim' in found else 'density'} of "
            f"{found.attrs['scored']}",
            "shared": found.attrs["shared"],
            "settings": run.settings.to_json(),
        },
    )


_BY_ROW = ("log_evidence", "log_evidence_se", "log_evidence_exact", "elbo", "khat")
_BY_LATENT = ("kl_by_dim", "activity", "active")


def _bounds(run: Run, found: xr.Dataset) -> dict[str, float]:
    """The estimator's own bound, and how far below log p(x) of the same pair it lies."""
    own, error = _own_bound(run)
    gap = float(found["log_evidence_mean"]) - own
    gap_error = math.hypot(error, float(found["log_evidence_mean_draws_se"]))
    bounds = {"own_bound": own, "own_bound_se": error, "gap": gap, "gap_se": gap_error}
    if "log_evidence_exact" in found:
        exact = float(found["log_evidence_exact_mean"])
        bounds |= {"gap_exact": exact - own, "gap_exact_se": error}
    return bounds


def _own_bound(run: Run) -> tuple[float, float]:
    """The bound of the run's own estimator on the test rows, and its standard error over draws."""
    svi = SVI(run.model, run.guide, torch.optim.Adam, run.estimator)
    fields = run.data.test
    draws = len(fields["x"]) * int(getattr(run.estimator, "num_particles", 1))
    passes = min(max(_LEAST_PASSES, _OWN_DRAWS // draws), _MOST_PASSES)
    with at_rest(run.pair, _SEED):
        few = {name: values[:2] for name, values in fields.items()}
        terms = log_terms(run.model, run.guide, few)
        full_size = None if terms.scale == 1 else round(terms.scale * terms.batch_size)
        bounds = [held_out_bound(svi, fields, full_size, seed) for seed in range(passes)]
    return float(np.mean(bounds)), float(np.std(bounds, ddof=1) / math.sqrt(passes))


def _ms_per_step(history: xr.Dataset) -> float:
    """The median over epochs, the first one left out where there are others."""
    taken = history[["step", "seconds"]].diff("epoch")
    each = (taken["seconds"] / taken["step"]).values[1 if taken.sizes["epoch"] > 1 else 0 :]
    return float(1000 * np.median(each))
