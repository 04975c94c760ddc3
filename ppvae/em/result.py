"""What EM went through: the objective before and after each step, and the parameters."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ppvae.pair import Pair

__all__ = ["EMResult"]


@dataclass(frozen=True, eq=False)
class EMResult:
    """The course of T steps of EM, sums over all N rows in nats.

    Attributes:
        log_evidence: L(theta_t) = log p(x; theta_t), t = 0, ..., T, (T + 1,).
        elbo: J(theta_t; q_t) after the E-step, (T + 1,); it touches ``log_evidence``.
        elbo_after: J(theta_{t+1}; q_t) after the M-step, (T,).
        parameters: what the optimizer would move, by name, before the first step and after each.
        posterior: p(y|x_n) at the end, (N, C_1, ..., C_S).
        converged: whether the last step gained less than was asked for.
        pair: the model, whose parameters are those of the end.
    """

    log_evidence: Tensor
    elbo: Tensor
    elbo_after: Tensor
    parameters: list[dict[str, Tensor]] = field(repr=False)
    posterior: Tensor = field(repr=False)
    converged: bool
    pair: Pair = field(repr=False)

    @property
    def steps(self) -> int:
        """T, how many steps were taken."""
        return len(self.elbo_after)

    @property
    def per_datum(self) -> Tensor:
        """L(theta_t) / N in nats per datum, (T + 1,)."""
        return self.log_evidence / len(self.posterior)

    def load(self, step: int) -> None:
        """Give the model the parameters that it had after a step; -1 is the end again.

        Raises:
            ValueError: there was no such step.
        """
        if not -1 <= step <= self.steps:
            raise ValueError(f"step must be between -1 and {self.steps}; got {step}.")
        with torch.no_grad():
            for name, leaf in self.pair.leaves.items():
                leaf.copy_(self.parameters[step][name])
