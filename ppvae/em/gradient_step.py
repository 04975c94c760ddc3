"""The M-step of a model without a closed one: J raised by gradient, at a fixed q."""

from __future__ import annotations

import torch
from torch import Tensor

from ppvae.em.table import table_of
from ppvae.pair import Batch, Pair

__all__ = ["gradient_step"]


def gradient_step(pair: Pair, batch: Batch, posterior: Tensor, iterations: int) -> None:
    """Raise J(theta; q) in theta by L-BFGS with a strong Wolfe line search, or leave theta.

    Args:
        pair: the model with a guide that is empty.
        batch: all rows.
        posterior: q, (N, C_1, ..., C_S).
        iterations: of L-BFGS, at most.

    Raises:
        ValueError: the model has no parameter.
    """
    leaves = list(pair.leaves.values())
    if not leaves:
        raise ValueError("model must have a parameter to learn; got none.")
    kept = [leaf.detach().clone() for leaf in leaves]
    optimizer = torch.optim.LBFGS(
        leaves,
        max_iter=iterations,
        tolerance_grad=1e-9,
        tolerance_change=1e-14,
        line_search_fn="strong_wolfe",
    )

    def minus_elbo() -> Tensor:
        optimizer.zero_grad()
        with torch.enable_grad():
            loss = -table_of(pair, batch).elbo(posterior).mean()
            loss.backward()
        return loss.detach()

    before = minus_elbo()
    optimizer.step(minus_elbo)
    # A search that ends higher, or at no number, has found nothing.
    if not bool(minus_elbo() <= before):
        with torch.no_grad():
            for leaf, value in zip(leaves, kept, strict=True):
                leaf.copy_(value)
    optimizer.zero_grad()
