"""Expectation-maximization: exact E-steps by enumeration, M-steps in closed form or by gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ppvae.em.gradient_step import gradient_step
from ppvae.em.result import EMResult
from ppvae.em.table import nothing, table_of
from ppvae.monotone import refuse_fall
from ppvae.pair import Batch, Pair, as_batch, fields_asked
from ppvae.scope import Program

__all__ = ["em"]

MStep = Callable[..., Any]


def em(
    model: Program,
    batch: Any,
    *,
    m_step: MStep | None = None,
    steps: int = 1000,
    tolerance: float = 1e-10,
    inner_steps: int = 20,
) -> EMResult:
    r"""Fit a model with discrete latent sites y by exact EM; its parameters are moved in place.

    .. math:: J(\theta; q) = E_q[\log p(x, y; \theta) - \log q(y)] \le \log p(x; \theta)

    The E-step takes q_t = p(y|x; theta_t), summed over all values of all latent sites together, at
    which J touches log p(x; theta_t); the M-step raises J in theta at this q. So log p(x) never
    falls.

    The M-step is the first that there is of: the one given; the model's own, a method ``m_step``;
    some steps of L-BFGS on J. A closed one is called as ``m_step(x, posterior=q)`` with q (N, C_1,
    ..., C_S) in the order of the model's sites (of named fields it receives those it asks for),
    without gradients, and moves the parameters itself.

    Args:
        model: p, a Pyro program whose latent sites are discrete and in the plate of the data.
        batch: a tensor x, a tuple of arguments, or named fields: all rows.
        m_step: a closed M-step, in place of the model's own.
        steps: how many steps at most, at least 1.
        tolerance: EM ends with a step that gains no more than this, in nats per datum.
        inner_steps: of L-BFGS in an M-step without a closed form, at least 1.

    Raises:
        ValueError: a number breaks these rules; a latent site cannot be enumerated or is global;
            the M-step lowers J, or refuses, as that of a mixture does where a component is left
            without rows.

    Example:
        >>> import torch
        >>> from ppvae.distributions import FullCovariance
        >>> from ppvae.models import GaussianMixture
        >>> x = torch.tensor([[-3.0], [-2.0], [4.0], [5.0]])
        >>> model = GaussianMixture(torch.tensor([[-1.0], [1.0]]), FullCovariance(2, 1))
        >>> result = em(model, x)
        >>> model.means.detach().flatten()
        tensor([-2.5000,  4.5000])

    Source: Dempster, Laird & Rubin (1977), Maximum likelihood from incomplete data via the EM
    algorithm; Bishop (2006), Pattern recognition and machine learning, section 9.4, eqs. 9.70 and
    9.71 (J is his lower bound).
    """
    for name, number in (("steps", steps), ("inner_steps", inner_steps)):
        if number < 1:
            raise ValueError(f"{name} must be at least 1; got {number}.")
    if not 0 <= tolerance < float("inf"):
        raise ValueError(f"tolerance must be at least 0 and finite; got {tolerance}.")
    pair, arguments = Pair(model, nothing), as_batch(batch)
    closed = getattr(model, "m_step", None) if m_step is None else m_step

    def move(posterior: Tensor) -> None:
        if closed is None:
            gradient_step(pair, arguments, posterior, inner_steps)
        else:
            args, fields = _arguments(closed, arguments)
            with pair.entered():
                closed(*args, **fields, posterior=posterior)

    return _steps(pair, arguments, move, steps, tolerance)


@torch.no_grad()
def _steps(
    pair: Pair, batch: Batch, move: Callable[[Tensor], None], steps: int, tolerance: float
) -> EMResult:
    table = table_of(pair, batch)
    posterior = table.posterior
    log_evidence, touched = [table.log_evidence.sum()], [table.elbo(posterior).sum()]
    raised: list[Tensor] = []
    parameters = [_snapshot(pair)]
    converged = False
    for step in range(1, steps + 1):
        move(posterior)
        table = table_of(pair, batch)
        raised.append(table.elbo(posterior).sum())
        refuse_fall(touched[-1], raised[-1], f"the M-step (m_step) of step {step}")
        posterior = table.posterior
        log_evidence.append(table.log_evidence.sum())
        touched.append(table.elbo(posterior).sum())
        parameters.append(_snapshot(pair))
        if log_evidence[-1] - log_evidence[-2] <= tolerance * len(posterior):
            converged = True
            break
    return EMResult(
        log_evidence=torch.stack(log_evidence),
        elbo=torch.stack(touched),
        elbo_after=torch.stack(raised),
        parameters=parameters,
        posterior=posterior,
        converged=converged,
        pair=pair,
    )


def _snapshot(pair: Pair) -> dict[str, Tensor]:
    return {name: leaf.detach().clone() for name, leaf in pair.leaves.items()}


def _arguments(m_step: MStep, batch: Batch) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What an M-step is called with: all arguments, or the fields it asks for."""
    args, fields = batch
    asked = fields_asked(m_step)
    if args or asked is None:
        return args, dict(fields)
    wanted = {name: needed for name, needed in asked.items() if name != "posterior"}
    missing = [name for name, needed in wanted.items() if needed and name not in fields]
    if missing:
        raise ValueError(
            f"m_step must ask for fields that the batch has, {sorted(fields)}; got {missing[0]!r}."
        )
    return (), {name: fields[name] for name in wanted if name in fields}
