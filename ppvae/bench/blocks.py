"""Parameters in blocks: those of the model, those of the guide, and groups by name."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence

from pyro import poutine
from torch import Tensor

from ppvae.bench.swapped import Met
from ppvae.pair import Batch, Pair
from ppvae.tracing import rehearsal

__all__ = ["ROLES", "Blocks", "Groups", "blocks_of"]

Groups = Mapping[str, Sequence[str]]
ROLES = ("model", "guide")


class Blocks:
    """Which parameters each block holds, and which program has which parameter.

    Attributes:
        leaves: the tensors that an optimizer moves, by name.
        names: of the parameters in each block.
        roles: "model", "guide" or both, by parameter.
    """

    def __init__(
        self,
        leaves: Mapping[str, Tensor],
        names: Mapping[str, Sequence[str]],
        roles: Mapping[str, tuple[str, ...]],
    ) -> None:
        self.leaves = dict(leaves)
        self.names = {block: list(each) for block, each in names.items()}
        self.roles = dict(roles)

    def roles_of(self, block: str) -> tuple[str, ...]:
        """The programs that the parameters of a block belong to."""
        return tuple(r for r in ROLES if any(r in self.roles[n] for n in self.names[block]))

    def size(self, block: str) -> int:
        """How many numbers a block holds."""
        return sum(self.leaves[name].numel() for name in self.names[block])


def blocks_of(pair: Pair, batch: Batch, groups: Groups | None) -> Blocks:
    """The blocks "model" and "guide", as far as each has parameters, and the groups.

    A parameter that both programs compute with is in both blocks.

    Args:
        pair: whose parameters exist: it has run.
        batch: what the programs are run on, once more.
        groups: for each a list of names of parameters, beginnings of names, or patterns with *.

    Raises:
        ValueError: the pair has no parameter, a group holds none, or is named as a block is.
    """
    leaves = pair.leaves
    if not leaves:
        raise ValueError(
            "the pair must have a parameter; got none "
            "(a plain function makes its networks known by pyro.module)."
        )
    roles = _roles(pair, batch, leaves)
    names = {role: [n for n in leaves if role in roles[n]] for role in ROLES}
    names = {role: each for role, each in names.items() if each}
    for group, patterns in (groups or {}).items():
        if group in ROLES:
            raise ValueError(f"groups must not be called model or guide; got {group!r}.")
        if isinstance(patterns, str) or not patterns:
            raise ValueError(f"group {group!r} must be a list of names; got {patterns!r}.")
        names[group] = _chosen(leaves, group, patterns)
    return Blocks(leaves, names, roles)


def _chosen(leaves: Mapping[str, Tensor], group: str, patterns: Sequence[str]) -> list[str]:
    for pattern in patterns:
        if not any(_fits(name, pattern) for name in leaves):
            raise ValueError(
                f"group {group!r} must hold parameters of the pair, {', '.join(leaves)}; "
                f"got {pattern!r}."
            )
    return [name for name in leaves if any(_fits(name, pattern) for pattern in patterns)]


def _fits(name: str, pattern: str) -> bool:
    return name.startswith(pattern) or fnmatch.fnmatchcase(name, pattern)


def _roles(pair: Pair, batch: Batch, leaves: Mapping[str, Tensor]) -> dict[str, tuple[str, ...]]:
    """The programs that compute with each parameter, seen while they run once."""
    met = {}
    with pair.entered(), rehearsal(pair):
        with Met(leaves) as met["guide"]:
            guide = poutine.trace(pair.program("guide", batch)).get_trace()
            guide.compute_log_prob()
        with Met(leaves) as met["model"]:
            model = poutine.replay(pair.program("model", batch), trace=guide)
            poutine.trace(model).get_trace().compute_log_prob()
    return {name: tuple(role for role in ROLES if name in met[role].names) for name in leaves}
