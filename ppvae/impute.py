"""What is not observed of rows, filled in: the mean under p(x_hidden | x_observed), and draws."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import xarray
from torch import Tensor

from ppvae.ancestral import model_trace
from ppvae.means import mean_of
from ppvae.pair import Batch, Pair, as_batch, fields_asked
from ppvae.passes import as_pair, at_rest, select_rows
from ppvae.terms import LogTerms
from ppvae.tracing import Traces, trace_pair

__all__ = ["impute"]

# Numbers of one piece: draws times rows times values.
_AT_ONCE = 2**23


def impute(
    run: Any,
    x: Any = None,
    mask: Tensor | None = None,
    *,
    num_draws: int = 1000,
    num_samples: int = 5,
    seed: int = 0,
) -> xarray.Dataset:
    r"""Rows with their holes filled, from L draws of the guide, weighted.

    With z_l ~ q(z | x_o) and log w_l = log p(x_o, z_l) - log q(z_l | x_o), of the observed part
    x_o of a row, and self-normalised weights,

    .. math:: E[x_h | x_o] \approx \sum_l \bar w_l E[x_h | z_l], \quad
        \bar w_l = w_l / \sum_j w_j

    A sample is a draw z_l taken in proportion to its weight (sampling importance resampling) and
    x_h ~ p(x_h | z_l). A plain one takes z from the guide as it is. What is observed stays.

    Args:
        run: a run, a Pair or a tuple (model, guide) whose model asks for the field "mask".
        x: rows, (N, P), or named fields; a run's own test rows if not given. What lies in a hole
            is not looked at.
        mask: true where x is observed, (N, P); not given where it is one of the named fields.
        num_draws: L; the effective sample size tells how many of them count.
        num_samples: draws of each kind for each row.
        seed: of the draws.

    Returns:
        By row and pixel ``x_mean``, and ``x_sd``, the standard deviation of x_h given x_o, 0 where
        x is observed; by sample too ``x``, weighted, and ``x_plain``. By row ``ess``, how many
        equal weights would be as good as the L, and ``log_evidence``, the estimate of log p(x_o)
        in nats. ``attrs["how"]`` tells a mean from an average of draws.

    Raises:
        ValueError: a count is below 1, there are no rows or no mask, the mask has another shape
            than x, or the pair cannot fill holes: its model does not ask for the mask or has other
            sites than rows with one event x, or no draw explains a row.
        TypeError: the mask is not boolean.

    Example:
        >>> from ppvae.models import LinearGaussian
        >>> model = LinearGaussian(torch.ones(2, 1), scale=0.1)
        >>> x, mask = torch.tensor([[1.0, 0.0]]), torch.tensor([[True, False]])
        >>> found = impute((model, model.exact_guide), x, mask, num_draws=10_000)
        >>> found["x_mean"].values.round(1).tolist()
        [[1.0, 1.0]]

    Source: Mattei & Frellsen (2019), MIWAE, arXiv:1812.02633, on single and multiple imputation.
    """
    for name, count in (("num_draws", num_draws), ("num_samples", num_samples)):
        if count < 1:
            raise ValueError(f"{name} must be at least 1; got {count}.")
    pair = as_pair(run)
    batch = _batch(run, pair, x, mask)
    num_rows, width = batch[1]["x"].shape
    size = max(1, _AT_ONCE // (num_draws * width))
    with at_rest(pair, seed) as device:
        parts = [
            _filled(pair, select_rows(batch, slice(at, at + size), device), num_draws, num_samples)
            for at in range(0, num_rows, size)
        ]
    return _dataset(parts, num_draws, seed)


class _Part(NamedTuple):
    """What was found of some rows."""

    values: dict[str, Tensor]
    how: str


def _batch(run: Any, pair: Pair, x: Any, mask: Tensor | None) -> Batch:
    """Rows as named fields with their mask and 0 in their holes, in the dtype of the pair."""
    if x is None:
        if not hasattr(run, "data"):
            raise ValueError("x must be given where run is no run with data of its own; got None.")
        x = run.data.test
    args, named = as_batch(x)
    fields: dict[str, Any] = {"x": args[0]} if args else dict(named)
    if mask is not None:
        fields["mask"] = mask
    _refuse(pair, fields)
    leaves = (leaf.dtype for leaf in pair.leaves.values() if leaf.is_floating_point())
    seen = fields["mask"].to(fields["x"].device)
    # Nobody looks into a hole, whatever lies there.
    rows = fields["x"].masked_fill(~seen, 0)
    return (), fields | {"x": rows.to(next(leaves, rows.dtype)), "mask": seen}


def _refuse(pair: Pair, fields: dict[str, Any]) -> None:
    x, mask = fields["x"], fields.get("mask")
    asked = fields_asked(pair.model)
    if asked is not None and "mask" not in asked:
        raise ValueError(
            f"model must ask for the field mask, to tell a hole from data; it asks for {[*asked]}."
        )
    if mask is None:
        raise ValueError(f"mask must be given, or be a field of the rows; got {sorted(fields)}.")
    if mask.dtype != torch.bool:
        raise TypeError(f"mask must be boolean, true where x is observed; got {mask.dtype}.")
    if x.dim() != 2 or mask.shape != x.shape:
        raise ValueError(
            f"mask must have the shape of x, (N, P), {tuple(x.shape)}; got {tuple(mask.shape)}."
        )


def _filled(pair: Pair, batch: Batch, num_draws: int, num_samples: int) -> _Part:
    traces = trace_pair(pair, batch, num_draws)
    terms = LogTerms(pair, batch, traces, num_draws)
    _refuse_sites(pair, traces[0], terms, batch)
    log_weight, log_plain = _log_weights(terms)
    if not bool(log_weight.isfinite().any(0).all()):
        raise ValueError("each row must be explained by a draw; got weights that are all 0.")
    x, mask = batch[1]["x"], batch[1]["mask"]
    weight = log_weight.softmax(0)
    likelihoods = [model.nodes["x"]["fn"] for model, _ in traces]
    means, how = zip(*map(mean_of, likelihoods), strict=True)
    each = _by_draw(list(means), terms)
    mean = torch.einsum("lb,lbp->bp", weight, each)
    values = {"x_mean": torch.where(mask, x, mean)}
    spread = _variance(likelihoods, terms)
    if spread is not None:
        second = torch.einsum("lb,lbp->bp", weight, spread + (each - mean).square())
        values["x_sd"] = second.sqrt().masked_fill(mask, 0.0)
    for name, logits in (("x", log_weight), ("x_plain", log_plain)):
        chosen = torch.multinomial(logits.softmax(0).T, num_samples, replacement=True).T
        drawn = [_drawn(pair, batch, traces[0], terms, index) for index in chosen]
        values[name] = torch.where(mask, x, torch.stack(drawn)).transpose(0, 1)
    values["ess"] = 1 / weight.square().sum(0)
    values["log_evidence"] = log_weight.logsumexp(0) - torch.tensor(float(num_draws)).log()
    return _Part(values, how[0])


def _log_weights(terms: LogTerms) -> tuple[Tensor, Tensor]:
    """Log-weights and the guide's own, (L, B): draws, and labels that are summed out."""
    drawn = [term for name, term in terms.posterior.items() if name not in terms.enumerated]
    labels = [term for name, term in terms.posterior.items() if name in terms.enumerated]
    joint = terms.log_joint
    weight = joint - torch.as_tensor(sum(drawn))
    plain = torch.as_tensor(sum(labels)).to(joint).expand_as(joint)
    return weight.flatten(0, -2), plain.flatten(0, -2)


def _by_draw(values: list[Tensor], terms: LogTerms) -> Tensor:
    """Values of the site x, one tensor or one for each draw, as (L, B, P)."""
    shape = terms.log_joint.shape
    if len(values) > 1 or terms.num_particles == 1:
        values = [value.unsqueeze(-3) for value in values]
    together = torch.cat(values, -3)
    return together.expand(*shape, together.shape[-1]).flatten(0, len(shape) - 2)


def _variance(likelihoods: list[Any], terms: LogTerms) -> Tensor | None:
    try:
        found = _by_draw([fn.variance for fn in likelihoods], terms)
    except NotImplementedError:
        return None
    return found if found.isfinite().all() else None


def _drawn(pair: Pair, batch: Batch, traces: Traces, terms: LogTerms, index: Tensor) -> Tensor:
    """The rows x, drawn by the model at the code of the chosen draw, (B, P)."""
    shape, rows = terms.log_joint.shape, torch.arange(len(index), device=index.device)
    codes = {}
    guide: Any = traces[1].nodes
    for name, values in terms.values.items():
        # (C, ..., K, B, *event), where labels that do not matter to a site have one place.
        event = values.shape[values.dim() - guide[name]["fn"].event_dim :]
        each = values.expand(*shape, *event).flatten(0, len(shape) - 2)
        codes[name] = each[index, rows]
    return torch.as_tensor(model_trace(pair, batch, codes).nodes["x"]["value"])


def _refuse_sites(pair: Pair, traces: Traces, terms: LogTerms, batch: Batch) -> None:
    model: Any = traces[0]
    unguided = [name for name in terms.enumerated if name not in terms.posterior]
    fits = "x" in terms.likelihood and model.nodes["x"]["fn"].event_dim == 1
    if not fits or pair.scope.plate_nesting != 1 or terms.has_global or unguided:
        raise ValueError(
            "model must observe x, (N, P), inside the data plate alone, with the latent sites of "
            f"the guide, to be filled in; got sites {list(model.stochastic_nodes)} and "
            f"{list(terms.likelihood)}."
        )
    likelihood, x, mask = model.nodes["x"]["fn"], batch[1]["x"], batch[1]["mask"]
    other = likelihood.log_prob(torch.where(mask, x, 1.0))
    if not torch.equal(likelihood.log_prob(x), other):
        raise ValueError(
            "model must score what is observed alone, by .mask(mask).to_event(1); "
            "got a log-density of x that moves with what is hidden."
        )


def _dataset(parts: list[_Part], num_draws: int, seed: int) -> xarray.Dataset:
    drawn, single = ("row", "sample", "pixel"), ("row", "pixel")
    dims: dict[str, tuple[str, ...]] = {"x": drawn, "x_plain": drawn, "x_mean": single}
    dims["x_sd"] = single
    names = [name for name in parts[0].values if all(name in part.values for part in parts)]
    arrays = {
        name: (dims.get(name, ("row",)), torch.cat([p.values[name] for p in parts]).cpu().numpy())
        for name in names
    }
    attrs = {"num_draws": num_draws, "seed": seed, "how": parts[0].how}
    return xarray.Dataset(arrays, attrs=attrs)
