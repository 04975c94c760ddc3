"""Looking at the space of codes: lines between data, a map of data, a grid of codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import xarray
from torch import Tensor

from ppvae.codes import Code, Moments, code_of, decoded, is_local, posterior
from ppvae.generate import rows_like
from ppvae.means import is_discrete
from ppvae.pair import Batch, Pair, as_batch
from ppvae.passes import as_pair, at_rest, held_on, select_rows, size_of

__all__ = [
    "chosen_site",
    "interpolate",
    "latent_map",
    "manifold",
    "principal_axes",
    "unflattened",
    "vector_sites",
]


def interpolate(
    run: Any, first: Any, second: Any, *, num_steps: int = 10, seed: int = 0
) -> xarray.Dataset:
    """The decoded line between the codes of two batches, row by row.

    All continuous latent sites move together; discrete ones, and fields other than the data, stay
    as they are in the first batch. The ends are the reconstructions of the two.

    Args:
        run: a run, a Pair or a tuple (model, guide).
        first: where the lines start, (B, ...) or named fields.
        second: where they end, of as many rows.
        num_steps: points on each line, both ends included; at least 2.
        seed: of draws, where there are any.

    Returns:
        ``x_mean``, (row, step, pixel); the coordinate ``step`` runs from 0 to 1.

    Raises:
        ValueError: num_steps is below 2, or the batches differ in their number of rows.
    """
    if num_steps < 2:
        raise ValueError(f"num_steps must be at least 2; got {num_steps}.")
    pair, start, end = as_pair(run), as_batch(first), as_batch(second)
    num_rows = size_of(start)
    if size_of(end) != num_rows:
        raise ValueError(f"second must have as many rows as first, {num_rows}; got {size_of(end)}.")
    steps = torch.linspace(0, 1, num_steps)
    index = torch.arange(num_rows).repeat_interleave(num_steps)
    # Each from the seed anew, so that a batch has one code whichever end it is.
    begin, finish = (_code_at(pair, batch, seed) for batch in (start, end))
    line = {name: code.value for name, code in begin.items()}
    for name, code in begin.items():
        if is_local(code.site, num_rows) and code.is_discrete:
            line[name] = code.value.repeat_interleave(num_steps, 0)
        elif is_local(code.site, num_rows):
            line[name] = _line(code.value, finish[name].value, steps)
    with at_rest(pair, seed) as device:
        means = decoded(pair, select_rows(start, index, device), line)
    found = unflattened(means, row=num_rows, step=num_steps)
    return found.assign_coords(step=steps.numpy()).assign_attrs(seed=seed)


def latent_map(run: Any, batch: Any, *, site: str | None = None, seed: int = 0) -> xarray.Dataset:
    """Two coordinates of each row's code, the mean of q(z|x), with its label if there is one.

    For D = 2 they are z itself. For D > 2 they are the two principal axes of the codes, each
    turned so that its largest weight is positive.

    Args:
        run: a run, a Pair or a tuple (model, guide).
        batch: a tensor x, (B, ...), or named fields; "y" (B,) are labels, -1 where unknown.
        site: the latent site; needed where there are several, labels left aside.
        seed: of draws, where there are any.

    Returns:
        ``first`` and ``second``, (row,), each with what it is in ``attrs["long_name"]``, and
        ``label``, (row,), if the batch has labels.

    Raises:
        ValueError: the site is not a latent vector of at least 2 dimensions, or there are fewer
            than 2 rows.
    """
    pair, rows = as_pair(run), as_batch(batch)
    with at_rest(pair, seed) as device:
        moments = posterior(pair, select_rows(rows, slice(None), device), {})
    name = chosen_site(moments, size_of(rows), site)
    points, axes = _plane(moments[name].loc.cpu(), name)
    columns = dict(zip(("first", "second"), points.unbind(-1), strict=True))
    if "y" in rows[1]:
        columns["label"] = rows[1]["y"].cpu()
    found = xarray.Dataset({n: ("row", c.numpy()) for n, c in columns.items()})
    for variable, axis in zip(("first", "second"), axes, strict=True):
        found[variable].attrs["long_name"] = axis
    return found.assign_attrs(seed=seed, site=name, how=moments[name].how)


def vector_sites(run: Any, batch: Any, *, seed: int = 0) -> list[str]:
    """The latent sites with a vector of at least 2 numbers for each row, which can be mapped.

    Args:
        run: a run, a Pair or a tuple (model, guide).
        batch: a tensor x, (B, ...), or named fields.
        seed: of draws, where there are any.

    Returns:
        Their names, in the order of the guide.
    """
    pair, rows = as_pair(run), as_batch(batch)
    with at_rest(pair, seed) as device:
        codes = code_of(pair, select_rows(rows, slice(None), device))
    return [
        name
        for name, code in codes.items()
        if is_local(code.site, size_of(rows))
        and not code.is_discrete
        and code.value.dim() == 2
        and code.value.shape[1] > 1
    ]


def manifold(
    run: Any,
    size: int = 20,
    *,
    like: Any = None,
    site: str | None = None,
    given: Mapping[str, Tensor] | None = None,
    seed: int = 0,
) -> xarray.Dataset:
    """The mean of p(x|z) on a square grid of codes z of two dimensions.

    The grid stands at the quantiles (i + 1/2) / size of a standard normal, so that under the prior
    N(0, I) each cell is equally probable. Other latent sites are drawn from the model.

    Args:
        run: a run, a Pair or a tuple (model, guide).
        size: cells along a side, at least 1.
        like: as in :func:`sample`.
        site: the latent site; needed where there are several, labels left aside.
        given: values by other site, (size * size, ...), that are held fixed.
        seed: of draws, where there are any.

    Returns:
        ``x_mean``, (second, first, pixel); the coordinates ``first`` and ``second`` are the two of
        z, both rising.

    Raises:
        ValueError: size is below 1, or the site is not a latent vector of 2 dimensions.

    Source: Kingma & Welling (2014), arXiv:1312.6114, figure 4.
    """
    if size < 1:
        raise ValueError(f"size must be at least 1; got {size}.")
    pair, like = as_pair(run), rows_like(run, like)
    with at_rest(pair, seed) as device:
        one = select_rows(like, slice(0, 1), device)
        sites = posterior(pair, one, {})
        name = chosen_site(sites, 1, site)
        corner = sites[name].loc
        if corner.shape[1:] != (2,):
            raise ValueError(
                f"manifold needs a latent site of 2 dimensions; got {tuple(corner.shape[1:])}."
            )
        quantiles = torch.special.ndtri((torch.arange(size).to(corner) + 0.5) / size)
        grid = torch.cartesian_prod(quantiles, quantiles).flip(-1)
        held = {**held_on(device, given), name: grid}
        index = torch.arange(size * size) % size_of(like)
        means = decoded(pair, select_rows(like, index, device), held)
    found = unflattened(means, second=size, first=size)
    values = quantiles.cpu().numpy()
    return found.assign_coords(second=values, first=values).assign_attrs(seed=seed, site=name)


def chosen_site(moments: Mapping[str, Moments], num_rows: int, site: str | None) -> str:
    """The latent site asked for, or the only one that has a value, and no label, per row."""
    local = [name for name, found in moments.items() if is_local(found.site, num_rows)]
    codes = [name for name in local if not is_discrete(moments[name].site["fn"])]
    for only in (local, codes):
        if site is None and len(only) == 1:
            return only[0]
    if site not in local:
        raise ValueError(f"site must be one of the latent sites with rows, {local}; got {site!r}.")
    return site


def _plane(codes: Tensor, name: str) -> tuple[Tensor, tuple[str, str]]:
    """Two coordinates of codes, (B, 2), and what they are."""
    if codes.dim() != 2 or codes.shape[1] < 2:
        raise ValueError(
            f"latent_map needs a latent site of at least 2 dimensions; "
            f"got {tuple(codes.shape[1:])}."
        )
    if len(codes) < 2:
        raise ValueError(f"batch must have at least 2 rows; got {len(codes)}.")
    latent_dim = codes.shape[1]
    if latent_dim == 2:
        return codes, (f"{name}[0]", f"{name}[1]")
    axes, shares = principal_axes(codes)
    first, second = (
        f"principal axis {i} of {name} (D = {latent_dim}), {share:.0%} of variance"
        for i, share in enumerate(shares.tolist(), 1)
    )
    return (codes - codes.mean(0)) @ axes.T, (first, second)


def principal_axes(points: Tensor) -> tuple[Tensor, Tensor]:
    """The first two principal axes of points (N, D), each with its share of the variance.

    Returns:
        The axes, (2, D), each of length one and turned so that its largest weight is positive, and
        the shares, (2,).
    """
    _, singular, rows = torch.linalg.svd(points - points.mean(0), full_matrices=False)
    axes = rows[:2]
    largest = axes.gather(1, axes.abs().argmax(1, keepdim=True))
    return axes * largest.sign(), (singular.square() / singular.square().sum())[:2]


def _code_at(pair: Pair, batch: Batch, seed: int) -> dict[str, Code]:
    with at_rest(pair, seed) as device:
        return code_of(pair, select_rows(batch, slice(None), device))


def _line(start: Tensor, end: Tensor, steps: Tensor) -> Tensor:
    """Points on the lines from start to end, (B, *event) each, row by row, (B * S, *event)."""
    weights = steps.to(start).reshape(-1, *[1] * (start.dim() - 1))
    return torch.lerp(start.unsqueeze(1), end.unsqueeze(1), weights).flatten(0, 1)


def unflattened(arrays: Mapping[str, xarray.DataArray], **sizes: int) -> xarray.Dataset:
    """Arrays (row, ...) with the rows set out along several dimensions."""
    return xarray.Dataset(
        {
            name: (
                (*sizes, *array.dims[1:]),
                array.values.reshape(*sizes.values(), *array.shape[1:]),
                array.attrs,
            )
            for name, array in arrays.items()
        }
    )
