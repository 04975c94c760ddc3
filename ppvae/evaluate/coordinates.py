"""The coordinates of a code: how far q is from p along each, and which of them tell of x."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from ppvae.evaluate.coordinate_sums import Means

__all__ = ["ACTIVE", "Coordinate", "Coordinates", "activity", "labels_of"]

# As Burda et al. (2016), arXiv:1509.00519, section 5.2, have it.
ACTIVE = 0.01


class Coordinate(NamedTuple):
    """The coordinates of one latent site, row by row.

    Attributes:
        loc: the mean of z under q(z|x), (B, D).
        noise: variance of that mean over its draws, (B, D); 0 for a formula, nan for one draw.
        kl: KL(q || p) of each coordinate in nats, (B, D); None where it is no sum over them.
    """

    loc: Tensor
    noise: Tensor
    kl: Tensor | None


class Coordinates:
    """Adds up what is known of the coordinates of each latent site, piece by piece of draws.

    Args:
        means: how the mean of each site is got.
    """

    def __init__(self, means: Means) -> None:
        self._means = means
        self._sums: dict[str, dict[str, Tensor]] = {}
        self._num_draws = 0

    def add(self, found: Mapping[str, Mapping[str, Tensor]], num_draws: int) -> None:
        """Add what :func:`coordinate_sums` found at so many draws."""
        self._num_draws += num_draws
        for name, sums in found.items():
            if name not in self._sums:
                self._sums[name] = dict(sums)
            elif not self._means[name].exact:
                self._sums[name] = {kind: self._sums[name][kind] + sums[kind] for kind in sums}

    def result(self) -> dict[str, Coordinate]:
        """What was added up, by latent site."""
        return {
            name: _coordinate(sums, None if self._means[name].exact else self._num_draws)
            for name, sums in self._sums.items()
        }


def activity(loc: Tensor, noise: Tensor) -> Tensor:
    r"""Variance over rows of the mean of q(z|x), by coordinate, (D,); nan for one row.

    .. math:: A_i = \mathrm{Var}_x (E_{q(z|x)} [z_i])

    A mean that was estimated from draws varies more than the mean itself: that is taken off.

    Args:
        loc: the means, (N, D).
        noise: the variance of each as an estimate, (N, D).

    Source: Burda, Grosse & Salakhutdinov (2016), arXiv:1509.00519, whose A is above 0.01 where a
    coordinate is active.
    """
    if len(loc) == 1:
        return torch.full_like(loc[0], math.nan)
    return loc.var(0) - noise.mean(0)


def labels_of(name: str, coordinate: Coordinate) -> list[str]:
    """The names of a site's coordinates: z[0], z[1], ..."""
    return [f"{name}[{i}]" for i in range(coordinate.loc.shape[-1])]


def _coordinate(sums: Mapping[str, Tensor], num_draws: int | None) -> Coordinate:
    """A site's coordinates from sums over so many draws; None where they are exact."""
    k = num_draws or 1
    loc, kl = sums["loc"] / k, sums.get("kl")
    noise = torch.zeros_like(loc)
    if num_draws is not None:
        spread = (sums["square"] / k - loc.square()).clamp(min=0)
        noise = spread / (k - 1) if k > 1 else torch.full_like(loc, math.nan)
    return Coordinate(loc.T, noise.T, None if kl is None else kl.T / k)
