"""What walks through the space of codes share: one site's codes, and all else as in a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
import xarray
from torch import Tensor

from ppvae.ancestral import Site, model_trace, random_sites
from ppvae.codes import Code, Moments, code_of, decoded, is_local, posterior
from ppvae.means import is_discrete, mean_of
from ppvae.pair import Batch, Pair
from ppvae.passes import select_rows, size_of

__all__ = ["SiteCodes", "codes_of_site", "decoded_from", "label_of"]

# Beyond any code: what a site with bounds does not admit.
_FAR = 1e3


class SiteCodes(NamedTuple):
    """One site's codes over a batch.

    Attributes:
        name: of the site.
        loc: the mean of q(z|x), (B, D).
        mean: the mean of all codes, (D,).
        scale: their standard deviation, that of q(z|x) within it, (D,).
        event: the shape of one code, of D numbers.
    """

    name: str
    loc: Tensor
    mean: Tensor
    scale: Tensor
    event: torch.Size


def codes_of_site(pair: Pair, batch: Batch, site: str | None) -> SiteCodes:
    """The codes of the site asked for, or of the only one that a walk can go through.

    Raises:
        ValueError: there is no such site, or it is discrete, bounded or without rows.
    """
    moments = posterior(pair, batch, {})
    free = [name for name, each in moments.items() if _is_free(each, size_of(batch))]
    if site is None and len(free) == 1:
        (site,) = free
    if site not in free:
        raise ValueError(
            "site must be one of the continuous latent sites with rows and without bounds, "
            f"{free}; got {site!r}."
        )
    found = moments[site]
    num_rows = size_of(batch)
    event = found.site["fn"].event_shape
    loc, scale = (each.reshape(num_rows, -1) for each in (found.loc, found.scale))
    spread = loc.var(0, unbiased=False) + scale.square().mean(0)
    return SiteCodes(site, loc, loc.mean(0), spread.sqrt(), event)


def _is_free(moments: Moments, num_rows: int) -> bool:
    """Whether a site has rows, is continuous, and any numbers are codes."""
    fn: Any = moments.site["fn"]
    if not is_local(moments.site, num_rows) or is_discrete(fn):
        return False
    try:
        far = torch.full_like(moments.loc, _FAR)
        return bool(fn.support.check(far).all() and fn.support.check(-far).all())
    except NotImplementedError:
        # A distribution of one's own need not name its support; its values are then numbers.
        return True


def decoded_from(
    pair: Pair, rows: Batch, row: int, codes: SiteCodes, moved: Tensor, device: torch.device | None
) -> dict[str, xarray.DataArray]:
    """The mean of p(x|z) at codes (N, D) of one site, all else as in a row's code."""
    one = select_rows(rows, slice(row, row + 1), device)
    known = code_of(pair, one)
    many = select_rows(rows, torch.full((len(moved),), row), device)
    held = {name: _repeated(code, len(moved)) for name, code in known.items()}
    held[codes.name] = moved.reshape(-1, *codes.event)
    return decoded(pair, many, _following(pair, many, held, codes.name))


def _repeated(code: Code, times: int) -> Tensor:
    return code.value.repeat_interleave(times, 0) if is_local(code.site, 1) else code.value


def _following(
    pair: Pair, batch: Batch, held: Mapping[str, Tensor], moved: str
) -> dict[str, Tensor]:
    """The held values, those of continuous sites that depend on the moved one at their means."""
    found = dict(held)

    def sites() -> list[tuple[str, Site]]:
        trace = model_trace(pair, batch, found, keep_observed=True)
        return [(name, site) for name, site in random_sites(trace) if name in found]

    names = [name for name, _ in sites()]
    for name in names[names.index(moved) + 1 :]:
        site = dict(sites())[name]
        if is_discrete(site["fn"]) or not is_local(site, size_of(batch)):
            continue
        mean, how = mean_of(site["fn"])
        # The rows differ in the moved code alone: where means differ, they depend on it.
        if how == "mean" and bool((mean != mean[:1]).any()):
            found[name] = mean.reshape(found[name].shape)
    return found


def label_of(codes: SiteCodes, place: int) -> str:
    """The name of a coordinate: z[0], z[1], ..."""
    index = torch.unravel_index(torch.tensor(place), codes.event) if codes.event else ()
    return f"{codes.name}[{', '.join(str(int(i)) for i in index)}]" if index else codes.name
