"""Small pairs with exact answers, whose parameters stand once for each row.

A row has parameters of its own, so that one backward pass gives a gradient for every row, and
as many independent draws of a gradient as there are rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

__all__ = ["Problem", "bits", "labelled", "layered", "linear"]

_F64 = torch.float64


@dataclass(frozen=True, eq=False)
class Problem:
    """A pair on R rows that are all the same datum.

    Attributes:
        name: in words.
        model: p, a Pyro program of x; ``size`` makes its plate a subsample of so many rows.
        guide: q, likewise.
        x: the datum, R times.
        parameters: of model and guide by name, each (R, ...).
        log_evidence: exact log p(x) in nats, (R,).
    """

    name: str
    model: Callable[..., Any]
    guide: Callable[..., Any]
    x: Tensor
    parameters: dict[str, Tensor]
    log_evidence: Tensor


def linear(rows: int, offset: float = 0.4) -> Problem:
    """A linear-Gaussian pair with a two-dimensional code; at offset 0 the guide is p(z|x)."""
    weight = torch.tensor([[1.0, 0.0], [0.0, 0.6], [0.5, 0.0]], dtype=_F64)
    precision = 1 + weight.square().sum(0)
    x = torch.tensor([0.7, -1.2, 0.4], dtype=_F64)
    p = _own(
        rows,
        weight=weight,
        loc=(x @ weight) / precision + offset,
        log_scale=-0.5 * precision.log() - offset / 2,
    )

    def model(x: Tensor, size: int | None = None) -> None:
        with _plate(x, size):
            z = pyro.sample("z", dist.Normal(x.new_zeros(2), 1.0).to_event(1))
            loc = (p["weight"] @ z.unsqueeze(-1)).squeeze(-1)
            pyro.sample("x", dist.Normal(loc, 1.0).to_event(1), obs=x)

    def guide(x: Tensor, size: int | None = None) -> None:
        with _plate(x, size):
            pyro.sample("z", dist.Normal(p["loc"], p["log_scale"].exp()).to_event(1))

    cov = torch.eye(3, dtype=_F64) + weight @ weight.T
    evidence = dist.MultivariateNormal(torch.zeros(3, dtype=_F64), cov).log_prob(x)
    return _problem("linear-Gaussian", model, guide, x, p, evidence)


def layered(rows: int, offset: float = 0.4) -> Problem:
    """Two layers, z2 given z1 in model and guide; at offset 0 the guide is p(z1, z2|x)."""
    x = torch.tensor(1.3, dtype=_F64)
    scales = torch.tensor([2 / 3, 1 / 2], dtype=_F64).sqrt()
    p = _own(
        rows,
        slope=torch.tensor(1.0, dtype=_F64),
        first=torch.tensor(1 / 3 + offset, dtype=_F64),
        second=torch.tensor([0.5 - offset / 2, 0.5], dtype=_F64),
        log_scale=scales.log() - offset / 2,
    )

    def model(x: Tensor, size: int | None = None) -> None:
        with _plate(x, size):
            z1 = pyro.sample("z1", dist.Normal(x.new_zeros(()), 1.0))
            z2 = pyro.sample("z2", dist.Normal(p["slope"] * z1, 1.0))
            pyro.sample("x", dist.Normal(z2, 1.0), obs=x)

    def guide(x: Tensor, size: int | None = None) -> None:
        scale = p["log_scale"].exp()
        with _plate(x, size):
            z1 = pyro.sample("z1", dist.Normal(p["first"] * x, scale[:, 0]))
            loc = p["second"][:, 0] * z1 + p["second"][:, 1] * x
            pyro.sample("z2", dist.Normal(loc, scale[:, 1]))

    evidence = dist.Normal(torch.zeros((), dtype=_F64), 3**0.5).log_prob(x)
    return _problem("a layered guide", model, guide, x, p, evidence)


def bits(rows: int, offset: float = 0.4) -> Problem:
    """Two bits that are neither reparameterized nor enumerated, the second given the first."""
    x = torch.tensor(0.8, dtype=_F64)
    logits = torch.tensor([0.3, -0.2, 0.5], dtype=_F64) + offset
    heights = torch.tensor([1.0, 0.7], dtype=_F64)
    p = _own(rows, heights=heights, logits=logits)

    def model(x: Tensor, size: int | None = None) -> None:
        with _plate(x, size):
            b1 = pyro.sample("b1", dist.Bernoulli(x.new_tensor(0.4)))
            b2 = pyro.sample("b2", dist.Bernoulli(x.new_tensor(0.5)))
            loc = p["heights"][:, 0] * b1 + p["heights"][:, 1] * b2
            pyro.sample("x", dist.Normal(loc, 1.0), obs=x)

    def guide(x: Tensor, size: int | None = None) -> None:
        with _plate(x, size):
            b1 = pyro.sample("b1", dist.Bernoulli(logits=p["logits"][:, 0]))
            given = p["logits"][:, 1] * b1 + p["logits"][:, 2] * (1 - b1)
            pyro.sample("b2", dist.Bernoulli(logits=given))

    b1, b2 = torch.cartesian_prod(*2 * [torch.tensor([0.0, 1.0], dtype=_F64)]).T
    prior = (torch.where(b1 > 0, 0.4, 0.6) * 0.5).log()
    joint = prior + dist.Normal(heights[0] * b1 + heights[1] * b2, 1.0).log_prob(x)
    return _problem("two bits", model, guide, x, p, joint.logsumexp(0))


def labelled(rows: int, offset: float = 0.4) -> Problem:
    """A label of three, enumerated, and a code given it; at offset 0 the guide is exact."""
    x = torch.tensor(0.9, dtype=_F64)
    shares = torch.tensor([0.2, 0.3, 0.5], dtype=_F64)
    locs = torch.tensor([-1.0, 0.0, 2.0], dtype=_F64)
    joint = shares.log() + dist.Normal(locs, 2**0.5).log_prob(x)
    p = _own(
        rows,
        locs=locs,
        logits=joint.log_softmax(0) + offset * torch.arange(3.0, dtype=_F64),
        codes=(x + locs) / 2 + offset,
    )

    def model(x: Tensor, size: int | None = None) -> None:
        with _plate(x, size):
            y = pyro.sample("y", dist.Categorical(shares))
            z = pyro.sample("z", dist.Normal(_at(p["locs"], y), 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x: Tensor, size: int | None = None) -> None:
        with _plate(x, size):
            labels = dist.Categorical(logits=p["logits"])
            y = pyro.sample("y", labels, infer={"enumerate": "parallel"})
            pyro.sample("z", dist.Normal(_at(p["codes"], y), 0.5**0.5))

    return _problem("an enumerated label", model, guide, x, p, joint.logsumexp(0))


def _own(rows: int, **parameters: Tensor) -> dict[str, Tensor]:
    """Parameters of each row's own."""
    return {
        name: value.expand(rows, *value.shape).clone().requires_grad_()
        for name, value in parameters.items()
    }


def _plate(x: Tensor, size: int | None) -> pyro.plate:
    # Rows that are given are not drawn: a subsample has the draws of the whole.
    return pyro.plate("data", size or len(x), subsample=torch.arange(len(x)), dim=-1)


def _at(table: Tensor, label: Tensor) -> Tensor:
    """The entry of each row's own table, (R, C), at its label, (..., R)."""
    return (torch.nn.functional.one_hot(label, table.shape[-1]) * table).sum(-1)


def _problem(
    name: str,
    model: Callable[..., Any],
    guide: Callable[..., Any],
    x: Tensor,
    parameters: dict[str, Tensor],
    evidence: Tensor,
) -> Problem:
    rows = len(next(iter(parameters.values())))
    return Problem(name, model, guide, x.expand(rows, *x.shape), parameters, evidence.expand(rows))
