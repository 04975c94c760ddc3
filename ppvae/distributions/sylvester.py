"""Sylvester flows whose parameters depend on a context."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import Transform, constraints

__all__ = ["Sylvester"]


class Sylvester(nn.Module):
    r"""The transform z -> z + Q R tanh(S Q^T z + b), from a context.

    Q is orthogonal, a product of Householder reflections; R and S are upper triangular with
    diagonals in (-1, 1), so that the transform is one to one and its Jacobian has determinant
    prod_i (1 + (1 - tanh^2) r_ii s_ii). There is no inverse in closed form.

    Args:
        latent_dim: D, at least 1.
        context_dim: C; with 0 the parameters are free.
        reflections: how many make up Q; D unless given, which give any Q of their sign.

    Raises:
        ValueError: latent_dim is below 1, or context_dim or reflections is negative.

    Source: van den Berg et al. (2018), arXiv:1803.05649, on Householder Sylvester flows. (Pyro's
    `Sylvester` has another order of its matrices, for which its determinant is not that of the
    Jacobian.)
    """

    def __init__(
        self, latent_dim: int, context_dim: int = 0, reflections: int | None = None
    ) -> None:
        super().__init__()
        if latent_dim < 1:
            raise ValueError(f"latent_dim must be at least 1; got {latent_dim}.")
        self.latent_dim = latent_dim
        self.reflections = latent_dim if reflections is None else reflections
        for name, count in {"context_dim": context_dim, "reflections": self.reflections}.items():
            if count < 0:
                raise ValueError(f"{name} must be at least 0; got {count}.")
        above = latent_dim * (latent_dim - 1) // 2
        self.sizes = [above, above, *3 * [latent_dim], self.reflections * latent_dim]
        place = torch.zeros(latent_dim, latent_dim, dtype=torch.int64)
        row, column = torch.triu_indices(latent_dim, latent_dim, 1)
        place[row, column] = torch.arange(1, above + 1)
        self.register_buffer("place", place.flatten(), persistent=False)
        self.free: nn.Parameter | None = None
        self.network: nn.Linear | None = None
        if context_dim:
            self.network = nn.Linear(context_dim, sum(self.sizes))
        else:
            self.free = nn.Parameter(0.1 * torch.randn(sum(self.sizes)))

    place: Tensor

    def forward(self, context: Tensor | None = None) -> Transform:
        """The transform for a context, (..., C)."""
        params = self.free if self.network is None else self.network(context)
        assert params is not None
        above_r, above_s, diagonal_r, diagonal_s, shift, vectors = params.split(self.sizes, -1)
        diagonals = [torch.tanh(each) for each in (diagonal_r, diagonal_s)]
        r, s = (
            self._triangular(above) + torch.diag_embed(diagonal)
            for above, diagonal in zip((above_r, above_s), diagonals, strict=True)
        )
        unit = vectors.unflatten(-1, (self.reflections, self.latent_dim))
        unit = unit / unit.norm(dim=-1, keepdim=True).clamp(min=1e-6)
        return _Conditioned(unit, r, s, shift, diagonals[0] * diagonals[1])

    def _triangular(self, above: Tensor) -> Tensor:
        padded = nn.functional.pad(above, (1, 0))
        square = (self.latent_dim, self.latent_dim)
        return padded.index_select(-1, self.place).unflatten(-1, square)


class _Conditioned(Transform):
    """The transform at given parameters: unit vectors of Q, R, S, b and r_ii s_ii."""

    domain = constraints.real_vector
    codomain = constraints.real_vector
    bijective = True

    def __init__(self, unit: Tensor, r: Tensor, s: Tensor, shift: Tensor, slopes: Tensor) -> None:
        super().__init__()
        self.unit, self.r, self.s, self.shift, self.slopes = unit, r, s, shift, slopes

    def call_and_ladj(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The value, (..., D), and log |det| of the Jacobian, (...,)."""
        inside = _product(self.s, self._turned(x, back=True)) + self.shift
        bent = torch.tanh(inside)
        y = x + self._turned(_product(self.r, bent), back=False)
        return y, torch.log1p((1 - bent**2) * self.slopes).sum(-1)

    def _turned(self, x: Tensor, back: bool) -> Tensor:
        """Q x, or Q^T x: the reflections in one order or the other."""
        vectors = self.unit.unbind(-2)
        for v in vectors if back else reversed(vectors):
            x = x - 2 * v * (v * x).sum(-1, keepdim=True)
        return x

    def _call(self, x: Tensor) -> Tensor:
        return self.call_and_ladj(x)[0]

    def _inverse(self, y: Tensor) -> Tensor:
        raise NotImplementedError("a Sylvester flow has no inverse in closed form.")

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """Log |det dy/dx|, (...,)."""
        return self.call_and_ladj(x)[1]


def _product(matrix: Tensor, vector: Tensor) -> Tensor:
    return (matrix * vector.unsqueeze(-2)).sum(-1)
