"""The guide that quantises: one point, whose coordinates come from codebooks.

    f_1 = encoder_1(x),    f_l = encoder_l(f_{l-1})             features, up to the top grid
    z_L = nearest code to f_L
    z_l = nearest code to join_l(f_l, z_{l+1})                  for l = L - 1 ... 1

Each z_l passes its gradient to what it quantised as if it were that; beside the bound,
c |h_l - z_l|^2 holds what is quantised, h_l, near its code.

Sources: van den Oord, Vinyals & Kavukcuoglu (2017), arXiv:1711.00937, eq. 3; Razavi, van den Oord &
Vinyals (2019), arXiv:1906.00446, for several grids.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import pyro
import pyro.distributions as dist
from pyro.nn import PyroModule
from torch import Tensor, nn

from ppvae.distributions import Point
from ppvae.networks import Codebook, filled

__all__ = ["VQGuide"]


class VQGuide(PyroModule):
    """q(z|x) at one point on L grids, scored with log-density 0.

    Args:
        encoders: from x, (B, P), to a grid (B, M_1, E_1), and from each grid, as a flat image
            (B, E_1 * M_1), to the one above; the top one D wide.
        codebooks: of each grid, the lowest first, shared with the model's priors. They move in
            training, by moving averages; two grids may share one.
        joins: for each grid but the top, from its features and the codes above it to (B, M_l, D).
        commitment: c, at least 0, the weight of the squared distance that a row's vectors keep
            from their codes, in nats. (The papers' 0.25 is beside an error averaged over pixels and
            divided by their variance; log p(x|z) weighs it far more.)

    Raises:
        ValueError: encoders, codebooks and joins do not match in number, commitment is negative,
            or the mask has another shape than x.
        TypeError: the mask is not boolean.
    """

    def __init__(
        self,
        encoders: Sequence[nn.Module],
        codebooks: Sequence[Codebook],
        joins: Iterable[nn.Module] = (),
        commitment: float = 2.0,
    ) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(encoders)
        self.codebooks = nn.ModuleList(codebooks)
        self.joins = nn.ModuleList(joins)
        levels = len(self.encoders)
        if not levels or (levels, levels - 1) != (len(self.codebooks), len(self.joins)):
            raise ValueError(
                "a guide of L encoders must have L codebooks and L - 1 joins; "
                f"got {levels}, {len(self.codebooks)} and {len(self.joins)}."
            )
        if not 0 <= commitment < math.inf:
            raise ValueError(f"commitment must be at least 0 and finite; got {commitment}.")
        self.commitment = float(commitment)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> list[Tensor]:
        """Return the codes, (..., B, M_l, D), the lowest grid first, of data x, (B, P)."""
        features: list[Tensor] = []
        below = filled(x, mask)
        for encoder in self.encoders:
            features.append(encoder(below))
            below = features[-1].transpose(-1, -2).flatten(-2)
        levels = len(features)
        codes: list[Tensor] = []
        with pyro.plate("data", len(x), dim=-1):
            for level in range(levels, 0, -1):
                vectors = features[level - 1]
                if codes:
                    vectors = self.joins[level - 1](vectors, codes[0])
                name = f"z{level}" if levels > 1 else "z"
                codes.insert(0, self._quantised(name, vectors, self.codebooks[level - 1]))
        return codes

    def _quantised(self, name: str, vectors: Tensor, codebook: nn.Module) -> Tensor:
        code = codebook(vectors)
        apart = (vectors - code.detach()).square().sum((-2, -1))
        # In a guide, a factor counts against the objective: it is a cost, and no part of the bound.
        infer: Any = {"auxiliary": True, "is_auxiliary": True}
        cost = dist.Unit(self.commitment * apart, has_rsample=True)
        pyro.sample(f"commitment_{name}", cost, obs=apart.new_empty(0), infer=infer)
        z: Tensor = pyro.sample(name, Point(code, event_dim=2))
        return z
