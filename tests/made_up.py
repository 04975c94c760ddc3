"""A comparison whose numbers are made up, as large and with names as odd as one likes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from torch import Tensor

from ppvae import Estimator
from ppvae.compare import Comparison
from ppvae.compare.assemble import assembled
from ppvae.compare.plan import Entry
from ppvae.data import load
from ppvae.experiment import find_recipe
from ppvae.named import estimator_named
from ppvae.settings import Settings
from ppvae.terms import LogTerms

ODD = "<script>alert('&')</script>_50%"
NAMES = (
    *("elbo", "elbo+stl", "elbo-kl", "Trace_ELBO", "TraceMeanField_ELBO:5", "iwae:1", "iwae:5"),
    *("iwae:50", "iwae:5+dreg", "iwae:50+dreg", "renyi:0.5:5", "renyi:0.5:50", "miwae:5:8"),
    *("piwae:5:8", "ciwae:0.5:8", "tvo:8:5", "cubo:2:5", "tail:5", "vr-max:5", "rws:5"),
    *("rws:5+dreg", "constrained:10", "free-bits:0.5", ODD),
)
SEEDS = (0, 1, 2)
POINTS, VALID_ROWS, ROWS, LATENTS, SIDE = 12, 20, 40, 8, 8


def comparison(
    names: Sequence[str] = NAMES, *, failed: Sequence[str] = (), notes: Sequence[str] = ()
) -> Comparison:
    """A comparison of made-up runs of 2000 steps, exact log p(x) and samples included.

    Args:
        names: of the estimators; a number at the end is how many draws they take.
        failed: names whose runs came to no finite end.
        notes: what is said of that.
    """
    recipe, data = find_recipe("vae"), load("digits")
    planned = [
        Entry(name, recipe, data, Named(name) if name == ODD else estimator_named(name))
        for name in names
    ]
    rng = np.random.default_rng(0)
    found = {
        (name, seed): _run(rng, place, seed)
        for place, name in enumerate(names)
        if name not in failed
        for seed in SEEDS
    }
    command = "ppvae compare vae --data digits --estimators 'elbo' \"odd & <name>\""
    dataset = assembled(planned, SEEDS, found, notes, 1000, command)
    return Comparison(dataset, {name: _samples(rng) for name in names if name not in failed})


class Named(Estimator):
    """An estimator of somebody's own, under a name as odd as they like."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.named = name

    def bound(self, terms: LogTerms) -> Tensor:
        return terms.log_weight.mean(0)


def _run(rng: np.random.Generator, place: int, seed: int) -> xr.Dataset:
    """What :func:`ppvae.compare.measure.measured` would return of a run."""
    share = np.linspace(0, 1, POINTS) ** 2
    end = -24 - 0.05 * place + 0.1 * rng.standard_normal()
    curve = end - 20 * np.exp(-6 * share)[:, None] + 0.2 * rng.standard_normal(VALID_ROWS)
    exact = end + rng.standard_normal(ROWS)
    gap = rng.exponential(0.3 + 0.02 * place, ROWS)
    kl = np.sort(rng.exponential(size=LATENTS))
    tight = gap.mean() / (1 + place % 5)
    seconds = share * (2 + place % 7 + 0.1 * seed)
    settings = Settings(
        *("vae", None, "0" * 64, {"hidden": 400, "latent_dim": LATENTS}, {"name": "digits"}),
        *("0" * 64, "elbo", 20, None, 128, 1e-3, "Adam(lr=0.001)", None, None, seed),
        *("cpu", 1, "auto"),
    )
    return xr.Dataset(
        {
            "step": ("point", 2000 * share),
            "seconds": ("point", seconds),
            "curve": (("point", "valid_row"), curve),
            "log_evidence": ("row", exact - 0.01),
            "log_evidence_se": ("row", np.full(ROWS, 0.01)),
            "log_evidence_exact": ("row", exact),
            "elbo": ("row", exact - gap),
            "khat": ("row", rng.normal(0.3 + 0.02 * place, 0.2, ROWS)),
            "kl_by_dim": ("latent", kl),
            "kl": kl.sum(),
            "active_units": float(LATENTS),
            **{"own_bound": end - tight, "own_bound_se": 0.01, "gap": tight, "gap_se": 0.02},
            **{"gap_exact": tight + 0.01, "gap_exact_se": 0.01},
            "ms_per_step": 1000 * seconds[-1] / 2000,
        },
        coords={"latent": [f"z[{i}]" for i in range(LATENTS)], "row": range(ROWS)}
        | {"point": range(POINTS), "valid_row": range(VALID_ROWS)},
        attrs={"kind": "probability of x", "shared": "", "settings": settings.to_json()},
    )


def _samples(rng: np.random.Generator) -> xr.Dataset:
    x = rng.uniform(size=(25, SIDE * SIDE))
    drawn = xr.Dataset({"x_mean": (("row", "pixel"), x, {"how": "mean"})})
    return drawn.assign_attrs(image_shape=(1, SIDE, SIDE))
