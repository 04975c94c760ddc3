"""The E-step: log p(x, y) of each row at all values of its discrete latent sites."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from pyro import poutine
from pyro.poutine.enum_messenger import EnumMessenger
from pyro.poutine.util import prune_subsample_sites
from torch import Tensor

from ppvae.pair import Batch, Pair, as_batch
from ppvae.scope import Program
from ppvae.sites import Sites, collect
from ppvae.tracing import rehearse

__all__ = ["JointTable", "joint_table", "nothing", "posterior_table", "table_of"]


@dataclass(frozen=True, eq=False)
class JointTable:
    """Log p(x_n, y) of each row n at every value of its latent sites y = (y_1, ..., y_S).

    Attributes:
        sites: the latent sites, in the order of the model.
        log_joint: (N, C_1, ..., C_S) nats.
    """

    sites: tuple[str, ...]
    log_joint: Tensor

    @property
    def log_evidence(self) -> Tensor:
        """Log p(x_n) = log sum_y p(x_n, y), (N,) nats."""
        return self.log_joint.flatten(1).logsumexp(1)

    @property
    def posterior(self) -> Tensor:
        """p(y|x_n), (N, C_1, ..., C_S)."""
        return self.log_joint.flatten(1).softmax(1).reshape(self.log_joint.shape)

    def elbo(self, posterior: Tensor) -> Tensor:
        """J = sum_y q(y) (log p(x_n, y) - log q(y)), (N,) nats: log p(x_n) at q = p(y|x_n).

        Args:
            posterior: q, (N, C_1, ..., C_S), from here or from a table of other parameters.

        Raises:
            ValueError: q has another shape than this table.
        """
        if posterior.shape != self.log_joint.shape:
            raise ValueError(
                f"posterior must be {tuple(self.log_joint.shape)}, rows and values; "
                f"got shape {tuple(posterior.shape)}."
            )
        # A value that q rules out has no part in the sum, even where its log p is -inf.
        joint = self.log_joint.masked_fill(posterior == 0, 0.0)
        return (posterior * joint - torch.xlogy(posterior, posterior)).flatten(1).sum(1)


def joint_table(model: Program, batch: Any) -> JointTable:
    """Log p(x, y) of all rows at all values of y, by running the model once, enumerated.

    Every latent site with a finite support is enumerated, marked or not.

    Args:
        model: a Pyro program whose latent sites are discrete and in the plate of the data. The
            named params of a plain function are those that :func:`ppvae.em` gave it.
        batch: a tensor x, a tuple of arguments, or named fields: all rows.

    Returns:
        The table, differentiable in the model's parameters.

    Raises:
        ValueError: a latent site cannot be enumerated, lies outside of the plate of the data, or
            there is none; or the batch is a part of the data.

    Example:
        >>> import pyro, pyro.distributions as dist, torch
        >>> def model(x):
        ...     with pyro.plate("data", len(x), dim=-1):
        ...         y = pyro.sample("y", dist.Bernoulli(torch.tensor(0.5)))
        ...         pyro.sample("x", dist.Normal(4 * y, 1.0), obs=x)
        >>> joint_table(model, torch.tensor([2.0, 3.0])).posterior[:, 1]  # 1 / (1 + exp(8 - 4 x))
        tensor([0.5000, 0.9820])
    """
    return table_of(Pair(model, nothing), as_batch(batch))


def posterior_table(model: Program, batch: Any) -> Tensor:
    """The responsibilities p(y|x_n) of all rows, exactly, (N, C_1, ..., C_S).

    Args:
        model: as in :func:`joint_table`.
        batch: likewise.

    Raises:
        ValueError: as :func:`joint_table`.
    """
    with torch.no_grad():
        return joint_table(model, batch).posterior


def nothing(*args: Any, **fields: Any) -> None:
    """The guide of a model that leaves no latent site to it."""


def table_of(pair: Pair, batch: Batch) -> JointTable:
    """:func:`joint_table` of a pair whose guide is :func:`nothing`."""
    with pair.entered():
        rehearse(pair, batch)
        nesting = pair.scope.plate_nesting or 0
        marked = poutine.infer_config(pair.program("model", batch), config_fn=_marked)
        trace = poutine.trace(EnumMessenger(-1 - nesting)(marked)).get_trace()
        guide_trace = poutine.trace(pair.program("guide", batch)).get_trace()
        _refuse(trace)
        return _table(collect((trace, guide_trace), nesting, 1))


def _marked(site: Any) -> Any:
    drawn = site["type"] == "sample" and not site["is_observed"]
    finite = drawn and getattr(site["fn"], "has_enumerate_support", False)
    return {"enumerate": "parallel"} if finite else {}


def _refuse(trace: poutine.Trace) -> None:
    trace = prune_subsample_sites(trace)
    sites: list[Any] = list(trace.nodes.values())
    latent = [s for s in sites if s["type"] == "sample" and not s["is_observed"]]
    if not latent:
        raise ValueError("model must have a latent site to enumerate; got none.")
    for site in latent:
        if "_enumerate_dim" not in site["infer"]:
            fn = site["fn"]
            while hasattr(fn, "base_dist"):
                fn = fn.base_dist
            raise ValueError(
                "latent sites must have finitely many values, so that they can be enumerated; "
                f"got {site['name']!r} of {type(fn).__name__}."
            )


def _table(sites: Sites) -> JointTable:
    if sites.layout.scale != 1:
        raise ValueError(f"batch must hold all rows; got 1 row in {sites.layout.scale:g}.")
    terms = [*sites.prior.values(), *sites.likelihood.values()]
    total = torch.as_tensor(sum(terms)).squeeze(-2)
    # Each site has a dimension of its own, left of the rows; they go to the right, in order.
    dims = [sites.enumerated[name] + 1 for name in sites.prior]
    return JointTable(tuple(sites.prior), total.permute(-1, *dims))
