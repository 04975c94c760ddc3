"""What data in rows must be for a likelihood, said in words before broadcasting hides it."""

from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.constraints import Constraint

__all__ = ["refuse_misfit", "refuse_other_than_rows", "rule_of"]


def refuse_other_than_rows(x: Tensor) -> None:
    """Refuse data that are not in rows.

    Raises:
        ValueError: x is not (B, P).
    """
    if x.dim() != 2:
        raise ValueError(
            f"x must be 2-dimensional, (B, P); got shape {tuple(x.shape)}. Flatten images first."
        )


def refuse_misfit(likelihood: TorchDistribution, x: Tensor) -> None:
    """Refuse a likelihood that is not as wide as x: width 1 would broadcast and seem correct.

    Raises:
        ValueError: its event shape is not (P,).
    """
    if likelihood.event_shape != x.shape[-1:]:
        width = likelihood.event_shape[-1] if likelihood.event_shape else 0
        raise ValueError(f"decoder must be as wide as x, {x.shape[-1]}; got {width}.")


def rule_of(support: Constraint) -> str:
    """What a support says of itself, to stand behind its name; empty where it says nothing."""
    while isinstance(support, constraints.independent):
        support = support.base_constraint
    words = getattr(support, "words", "")
    return f", {words}" if words else ""
