"""A pair for ArviZ: draws of guide and prior, what they predict, and their log-densities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

import numpy as np
import pyro
import torch
import xarray as xr
from numpy.typing import NDArray

from ppvae.arviz_bridge import arviz_version, as_container
from ppvae.arviz_draws import Arrays, observed_arrays, posterior_arrays, prior_arrays
from ppvae.evaluate.quantities import no_evidence
from ppvae.pair import Batch, Pair, as_batch
from ppvae.passes import as_pair, at_rest, select_rows, size_of
from ppvae.terms import LogTerms
from ppvae.tracing import rehearsal, trace_pair

__all__ = ["to_arviz"]

# Numbers in a tensor of x at the draws that are taken at once.
_FLOATS = 2**20

_WORDS = {
    "posterior": "draws of q(z|x), not reweighted",
    "posterior_predictive": "draws of p(x|z) at draws of q(z|x)",
    "log_likelihood": "log p(x|z) at draws of q(z|x)",
    "sample_stats": "log p(x, z) - log q(z|x) at draws of q(z|x)",
    "prior": "draws of p(z)",
    "prior_predictive": "draws of p(x|z) at draws of p(z)",
    "observed_data": "the data",
}
_IN_NATS = ("log_likelihood", "sample_stats")


def to_arviz(
    model: Any, guide: Any = None, batch: Any = None, num_draws: int = 500, *, seed: int = 0
) -> Any:
    """Draws of a pair on a batch in ArviZ's form, for its plots, PSIS and LOO.

    The draws are the guide's, each with weight 1; ``sample_stats`` holds the logs of the weights
    that would make them draws of p(z|x). They are independent, so that there is one chain.

    Args:
        model: p, a Pyro program; or a run, a Pair or a tuple (model, guide), and then no guide.
        guide: q, a Pyro program.
        batch: a tensor x, (B, ...), or named fields; a run's own test rows if not given.
        num_draws: S, draws from the guide and draws from the prior, for each datum.
        seed: of the draws; the global generators stay as they are.

    Returns:
        An ``arviz.InferenceData`` (ArviZ 0.23) or an ``xarray.DataTree`` (ArviZ 1.x). Dimensions
        are ``chain``, ``draw``, ``row`` (the number in the batch's ``index`` if there is one), the
        names of other plates, and ``z_dim`` for the event of site z. Groups:

        - ``posterior``, the latent sites drawn from the guide, discrete ones too;
          ``posterior_predictive``, the observed sites drawn at these.
        - ``log_likelihood``, log p(x|z) by observed site and row in nats; labels that only the
          model enumerates are summed out.
        - ``sample_stats``, ``log_weight`` = log p(x, z) - log q(z|x) by row in nats; of all rows
          together where a latent site lies outside of the data plate.
        - ``prior`` and ``prior_predictive``; ``observed_data``.

        What has no meaning for a pair is left out; ``attrs["note"]`` says why.

    Raises:
        ValueError: num_draws is below 1, or the pair cannot be run on the batch.
        TypeError: model or guide is of another kind.
    """
    if num_draws < 1:
        raise ValueError(f"num_draws must be at least 1; got {num_draws}.")
    pair, given = _pair_and_rows(model, guide, batch)
    with at_rest(pair, seed) as device:
        rows = select_rows(as_batch(given), slice(None), device)
        left_out = _left_out(pair, rows)
        observed = observed_arrays(pair, rows)
        parts = [_part(pair, rows, each, left_out) for each in _sizes(pair, rows, num_draws)]
    attrs = _circumstances(seed, left_out)
    coords = {"chain": np.zeros(1, int), "draw": np.arange(num_draws), "row": _numbers(rows)}
    groups = {name: _joined([part[name] for part in parts]) for name in parts[0]}
    groups["observed_data"] = xr.Dataset(observed)
    return as_container({n: _described(n, g, coords, attrs) for n, g in groups.items()}, attrs)


def _pair_and_rows(model: Any, guide: Any, batch: Any) -> tuple[Pair, Any]:
    if callable(model) and not isinstance(model, Pair) and not hasattr(model, "pair"):
        pair = Pair(model, guide)
    elif guide is None or batch is None:
        # Where a run stands for both programs, the second argument is the batch.
        pair, batch = as_pair(model), guide if batch is None else batch
    else:
        raise TypeError(
            "guide must be left out where a run or a pair stands for both programs; "
            f"got {type(guide).__name__}."
        )
    if batch is None and not hasattr(model, "data"):
        raise ValueError("batch must be given where no run with data is; got None.")
    return pair, model.data.test if batch is None else batch


def _left_out(pair: Pair, batch: Batch) -> dict[str, str]:
    """The groups that have no meaning for a pair, and why; everything is run once for it.

    Raises:
        ValueError: the pair cannot be run on the batch, or a ``poutine.scale`` lies on a site.
    """
    left_out = {}
    with rehearsal(pair):
        traces = trace_pair(pair, batch, 1)
        terms = LogTerms(pair, batch, traces, 1)
        if terms.batch_size != size_of(batch):
            raise ValueError(
                f"the data plate must hold the rows of the batch, {size_of(batch)}; "
                f"got {terms.batch_size}."
            )
        if terms.rescaled:
            raise ValueError(
                "to_arviz needs log-densities as they are; "
                f"got a poutine.scale on {terms.rescaled[0]!r}."
            )
        reason = no_evidence(traces[0], terms)
        if not reason and terms.has_global and terms.scale != 1:
            reason = f"it would need all data, of which the batch is 1 row in {terms.scale:g}"
        if reason:
            left_out["sample_stats"] = f"{reason}."
        for group, draw in _PREDICTIONS.items():
            try:
                draw(pair, batch)
            except ValueError as error:
                left_out[group] = str(error)
        # Now it is known whether the pair can draw two at once.
        trace_pair(pair, batch, 2)
    return left_out


_PREDICTIONS = {
    "posterior_predictive": lambda pair, batch: posterior_arrays(pair, batch, 1, predict=True),
    "prior": lambda pair, batch: prior_arrays(pair, batch, 1),
}


def _part(
    pair: Pair, batch: Batch, num_draws: int, left_out: Mapping[str, str]
) -> dict[str, Arrays]:
    predict = "posterior_predictive" not in left_out
    groups = posterior_arrays(pair, batch, num_draws, predict)
    if "prior" not in left_out:
        groups |= prior_arrays(pair, batch, num_draws)
    return {name: arrays for name, arrays in groups.items() if name not in left_out}


def _sizes(pair: Pair, batch: Batch, num_draws: int) -> Iterator[int]:
    """How many draws are taken at once: few enough for a cache, one where a pair is looped."""
    args, fields = batch
    floats = max(v.numel() for v in (*args, *fields.values()) if isinstance(v, torch.Tensor))
    each = max(1, _FLOATS // floats) if pair.scope.vectorized else 1
    for start in range(0, num_draws, each):
        yield min(each, num_draws - start)


def _numbers(batch: Batch) -> NDArray[np.int64]:
    index = batch[1].get("index")
    return np.arange(size_of(batch)) if index is None else index.cpu().numpy()


def _joined(parts: list[Arrays]) -> xr.Dataset:
    joined = {name: xr.concat([part[name] for part in parts], "draw") for name in parts[0]}
    return xr.Dataset({name: array.expand_dims("chain") for name, array in joined.items()})


def _described(
    group: str,
    found: xr.Dataset,
    coords: Mapping[str, NDArray[np.int64]],
    attrs: Mapping[str, str | int],
) -> xr.Dataset:
    found = found.assign_coords(
        {name: coords.get(str(name), np.arange(size)) for name, size in found.sizes.items()}
    )
    for name in found:
        found[name].attrs = {"long_name": _WORDS[group]}
        if group in _IN_NATS:
            found[name].attrs["units"] = "nats"
    return found.assign_attrs(attrs)


def _circumstances(seed: int, left_out: Mapping[str, str]) -> dict[str, str | int]:
    return {
        "seed": seed,
        "note": " ".join(f"{name} is left out: {why}" for name, why in left_out.items()),
        "creation_library": "ppvae",
        "creation_library_version": version("ppvae"),
        "inference_library": "pyro",
        "inference_library_version": pyro.__version__,
        "torch_version": str(torch.__version__),
        "arviz_version": arviz_version(),
    }
