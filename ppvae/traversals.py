"""Walks through the space of codes: one coordinate moved, or a grid bent by the decoder."""

from __future__ import annotations

from typing import Any

import torch
import xarray
from torch import Tensor

from ppvae.latents import principal_axes, unflattened
from ppvae.pair import as_batch
from ppvae.passes import as_pair, at_rest, select_rows, size_of
from ppvae.walks import SiteCodes, codes_of_site, decoded_from, label_of

__all__ = ["pushforward", "traverse"]


def traverse(
    run: Any,
    batch: Any,
    *,
    site: str | None = None,
    row: int = 0,
    num_coordinates: int = 10,
    num_steps: int = 9,
    reach: float = 3.0,
    seed: int = 0,
) -> xarray.Dataset:
    r"""The mean of p(x|z) as one coordinate of a row's code moves, for the most active ones.

    Coordinate i takes the values m_i + t s_i for t from -reach to reach, with the mean and standard
    deviation of its codes over the batch,

    .. math:: m_i = E_x E_q[z_i], \quad s_i^2 = \mathrm{Var}_x(E_q[z_i]) + E_x \mathrm{Var}_q[z_i]

    which are 0 and 1 where q(z|x) averaged over x is a standard normal p(z). The others stay as
    they are in the row's code, and so do other sites; but those that the model draws given this
    one (z1 below z2) follow it at their means.

    Args:
        run: a run, a Pair or a tuple (model, guide).
        batch: rows, of which m, s and the activity are taken; x, (B, ...), or named fields.
        site: the latent site; needed where there are several with rows and without bounds.
        row: whose code it is.
        num_coordinates: how many coordinates, at most D.
        num_steps: values of each, at least 2.
        reach: positive.
        seed: of draws, where there are any.

    Returns:
        ``x_mean``, (coordinate, step, pixel), the coordinate ``step`` being t; by coordinate their
        ``activity``, Var_x(E_q[z_i]), the largest first, ``loc`` m and ``scale`` s; and ``value``,
        (coordinate, step).

    Raises:
        ValueError: an argument breaks these rules, or there is no such site.

    Source: Burda et al. (2016), arXiv:1509.00519, for the activity.
    """
    _refuse_below(("num_coordinates", num_coordinates, 1), ("num_steps", num_steps, 2))
    _refuse_reach(reach)
    pair, rows = as_pair(run), as_batch(batch)
    if not 0 <= row < size_of(rows):
        raise ValueError(f"row must be one of the {size_of(rows)} rows of the batch; got {row}.")
    with at_rest(pair, seed) as device:
        whole = select_rows(rows, slice(None), device)
        codes = codes_of_site(pair, whole, site)
        activity = codes.loc.var(0, unbiased=False)
        order = activity.argsort(descending=True, stable=True)[:num_coordinates]
        steps = torch.linspace(-reach, reach, num_steps).to(codes.loc)
        values = codes.mean[order, None] + codes.scale[order, None] * steps
        moved = codes.loc[row].repeat(len(order), num_steps, 1)
        places = order.view(-1, 1, 1).expand(-1, num_steps, 1)
        moved = moved.scatter(2, places, values.unsqueeze(-1)).flatten(0, 1)
        means = decoded_from(pair, rows, row, codes, moved, device)
    found = unflattened(means, coordinate=len(order), step=num_steps)
    columns = {"activity": activity[order], "loc": codes.mean[order], "scale": codes.scale[order]}
    return (
        found.assign(
            {name: ("coordinate", column.cpu().numpy()) for name, column in columns.items()}
            | {"value": (("coordinate", "step"), values.cpu().numpy())}
        )
        .assign_coords(
            coordinate=[label_of(codes, int(i)) for i in order], step=steps.cpu().numpy()
        )
        .assign_attrs(seed=seed, site=codes.name, row=row)
    )


def pushforward(
    run: Any,
    batch: Any,
    *,
    site: str | None = None,
    size: int = 13,
    reach: float = 3.0,
    seed: int = 0,
) -> xarray.Dataset:
    """The mean of p(x|z) on an even grid in a plane of codes: the plane as the decoder bends it.

    For D = 2 the plane is that of z, for D > 2 that of the two principal axes of the codes, through
    their mean; for D = 1 it is a line, and there is no ``second``. The grid goes reach standard
    deviations of the codes to either side, as :func:`traverse` has them. Other sites stay as they
    are in the first row's code, or follow.

    Args:
        run: a run, a Pair or a tuple (model, guide).
        batch: rows, whose codes say where the grid is; x, (B, ...), or named fields.
        site: the latent site; needed where there are several with rows and without bounds.
        size: points along a side, at least 2.
        reach: positive.
        seed: of draws, where there are any.

    Returns:
        ``x_mean``, (second, first, pixel); the coordinates ``first`` and ``second`` are where a
        point is in the plane, with what that is in ``attrs["long_name"]``.

    Raises:
        ValueError: an argument breaks these rules, there is no such site, or of D > 2 dimensions
            there are fewer than 2 rows.
    """
    _refuse_below(("size", size, 2))
    _refuse_reach(reach)
    pair, rows = as_pair(run), as_batch(batch)
    with at_rest(pair, seed) as device:
        codes = codes_of_site(pair, select_rows(rows, slice(None), device), site)
        centre, axes, names = _plane(codes)
        # The variance of all codes along an axis: of their means, and within q(z|x) on average.
        spread = codes.loc.var(0, unbiased=False)
        within = (codes.scale.square() - spread).clamp(min=0)
        along = (codes.loc @ axes.T).var(0, unbiased=False) + axes.square() @ within
        steps = torch.linspace(-reach, reach, size).to(codes.loc)
        lines = centre[:, None] + along.sqrt()[:, None] * steps
        places = torch.cartesian_prod(*lines.flip(0)).reshape(-1, len(axes)).flip(-1)
        grid = codes.mean + (places - axes @ codes.mean) @ axes
        means = decoded_from(pair, rows, 0, codes, grid, device)
    dims = ("first", "second")[: len(axes)]
    found = unflattened(means, **dict.fromkeys(reversed(dims), size))
    found = found.assign_coords(
        {n: line.cpu().numpy() for n, line in zip(dims, lines, strict=True)}
    )
    for dim, name in zip(dims, names, strict=True):
        found[dim].attrs["long_name"] = name
    return found.assign_attrs(seed=seed, site=codes.name)


def _plane(codes: SiteCodes) -> tuple[Tensor, Tensor, list[str]]:
    """Where the codes' mean is along each axis, (A,), the axes, (A, D), and their names."""
    latent_dim = codes.loc.shape[1]
    if latent_dim <= 2:
        axes = torch.eye(latent_dim).to(codes.loc)
        return codes.mean, axes, [label_of(codes, i) for i in range(latent_dim)]
    if len(codes.loc) < 2:
        raise ValueError(f"batch must have at least 2 rows; got {len(codes.loc)}.")
    axes, shares = principal_axes(codes.loc)
    names = [
        f"principal axis {i} of {codes.name} (D = {latent_dim}), {share:.0%} of variance"
        for i, share in enumerate(shares.tolist(), 1)
    ]
    return axes @ codes.mean, axes, names[: len(axes)]


def _refuse_below(*counts: tuple[str, int, int]) -> None:
    for name, count, least in counts:
        if count < least:
            raise ValueError(f"{name} must be at least {least}; got {count}.")


def _refuse_reach(reach: float) -> None:
    if not 0 < reach < float("inf"):
        raise ValueError(f"reach must be positive and finite; got {reach}.")
