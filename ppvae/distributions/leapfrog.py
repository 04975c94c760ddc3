"""Leapfrog steps of Hamiltonian dynamics, with the gradient of a log-density."""

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["leapfrog"]

Density = Callable[[Tensor], Tensor]


def leapfrog(
    z: Tensor, momentum: Tensor, log_density: Density, step_size: Tensor, steps: int
) -> tuple[Tensor, Tensor]:
    r"""Position and momentum after some steps, both (..., D).

    .. math:: v_{1/2} = v + \tfrac{\epsilon}{2} \nabla \log p(z), \quad
        z' = z + \epsilon v_{1/2}, \quad v' = v_{1/2} + \tfrac{\epsilon}{2} \nabla \log p(z')

    They preserve volume: |det d(z', v') / d(z, v)| = 1. With v' turned round the same steps lead
    back to z, and to v turned round.

    Args:
        z: the position, (..., D).
        momentum: v, (..., D).
        log_density: log p from z, (..., D), to (...,) nats, each of its own position alone.
        step_size: epsilon, one a coordinate, (D,).
        steps: how many, at least 1.

    Raises:
        ValueError: steps is below 1.

    Source: Neal (2011), MCMC using Hamiltonian dynamics, arXiv:1206.1901.
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1; got {steps}.")
    slope = _slope(log_density, z)
    for _ in range(steps):
        momentum = momentum + 0.5 * step_size * slope
        z = z + step_size * momentum
        slope = _slope(log_density, z)
        momentum = momentum + 0.5 * step_size * slope
    return z, momentum


def _slope(log_density: Density, z: Tensor) -> Tensor:
    """The gradient of log p(z), (..., D), which an outer gradient goes through if there is one."""
    outer = torch.is_grad_enabled()
    # Evaluation asks for no gradient of its own, and the steps need theirs.
    with torch.enable_grad():
        z = z if outer and z.requires_grad else z.detach().requires_grad_()
        (slope,) = torch.autograd.grad(log_density(z).sum(), z, create_graph=outer)
    return slope
