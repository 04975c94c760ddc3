"""A generative model and a guide that belong together: how they are called, what they own."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import transform_to

from ppvae.scope import ByIdentity, Program, anchor, scope_of

__all__ = ["Batch", "Pair", "as_batch", "fields_asked"]

Batch = tuple[tuple[Any, ...], Mapping[str, Any]]


def as_batch(batch: Any) -> Batch:
    """A batch as positional arguments and named fields.

    A tensor is the only argument, a tuple holds all of them, a mapping has fields by name.
    """
    if isinstance(batch, Mapping):
        return (), batch
    return (batch, {}) if isinstance(batch, tuple) else ((batch,), {})


class Pair:
    """A model and a guide with the parameters that belong to the two of them.

    Every ``Pair`` of the same two objects shares one set of parameters.

    Args:
        model: p, a Pyro program.
        guide: q, a Pyro program with the same latent sites.

    Raises:
        TypeError: model or guide is not callable.
    """

    def __init__(self, model: Program, guide: Program) -> None:
        for role, program in (("model", model), ("guide", guide)):
            if not callable(program):
                raise TypeError(f"{role} must be callable; got {type(program).__name__}.")
        self.model = model
        self.guide = guide
        self.scope = scope_of(model, guide)
        if not self.scope.asked:
            # Reading signatures takes longer than the rest of this, and a step makes a Pair.
            self.scope.asked = {"model": fields_asked(model), "guide": fields_asked(guide)}

    def entered(self) -> contextlib.AbstractContextManager[None]:
        """Run the pair inside this: with its own parameters, and nobody else's."""
        return self.scope.entered()

    def program(self, role: str, batch: Batch) -> Callable[[], Any]:
        """The model or the guide on a batch, as a Pyro program without arguments.

        Positional arguments go to both; of named fields each receives those it asks for.

        Raises:
            ValueError: the program needs a field that the batch lacks.
        """
        program = self.model if role == "model" else self.guide
        args, fields = batch
        if not args:
            fields = self._chosen(role, fields)

        def run() -> Any:
            if not self.scope.active:
                return program(*args, **fields)
            with ByIdentity(self.scope):
                return program(*args, **fields)

        return run

    def _chosen(self, role: str, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        asked = self.scope.asked[role]
        if asked is None:
            return fields
        first = next(iter(asked), "x")
        if "x" in fields and first not in fields:
            # The data come first, whatever a program calls them.
            fields = {**fields, first: fields["x"]}
        missing = [name for name, needed in asked.items() if needed and name not in fields]
        if missing:
            raise ValueError(
                f"{role} must ask for fields that the batch has, {sorted(fields)}; "
                f"got {missing[0]!r}."
            )
        return {name: fields[name] for name in asked if name in fields}

    @property
    def modules(self) -> dict[str, nn.Module]:
        """The networks of the pair by name: model, guide, and what plain functions close over."""
        found: dict[str, nn.Module] = {}
        for role, program in (("model", self.model), ("guide", self.guide)):
            for name, module in _modules_of(program).items():
                if not any(module is other for other in found.values()):
                    found[f"{role}.{name}" if name else role] = module
        return found

    @property
    def leaves(self) -> dict[str, Tensor]:
        """The tensors that an optimizer moves, by name, each once, in a fixed order."""
        named: dict[str, Tensor] = {}
        for role, program in (("model", self.model), ("guide", self.guide)):
            owner = anchor(program)[0]
            if isinstance(owner, nn.Module):
                named |= {f"{role}.{name}": p for name, p in owner.named_parameters()}
        for name, parameters in self.scope.registered.items():
            named |= {f"{name}#{i}" if i else name: p for i, p in enumerate(parameters)}
        named |= self.scope.store["params"]
        first = {id(tensor): name for name, tensor in reversed(named.items())}
        return {n: t for n, t in named.items() if first[id(t)] == n and t.requires_grad}

    def pyro_name(self, name: str) -> str:
        """The name that Pyro gives to a leaf: what a ``pyro.optim`` callable is asked with."""
        leaf = self.leaves.get(name)
        for registered, parameters in self.scope.registered.items():
            if any(parameter is leaf for parameter in parameters):
                return registered
        owned = name.removeprefix("model.").removeprefix("guide.")
        return owned.removesuffix("_unconstrained")

    @property
    def params(self) -> dict[str, Tensor]:
        """The parameters as the programs see them (a positive one is positive), by name."""
        store = self.scope.store
        # A PyroParam is a module's tensor and known to the store too, by its constraint.
        constraint_of = {id(leaf): store["constraints"][n] for n, leaf in store["params"].items()}
        return {
            name.removesuffix("_unconstrained"): transform_to(constraint_of[id(leaf)])(leaf)
            if id(leaf) in constraint_of
            else leaf
            for name, leaf in self.leaves.items()
        }

    @property
    def buffers(self) -> dict[str, Tensor]:
        """Running statistics and the like, by name."""
        return {
            f"{prefix}.{name}": buffer
            for prefix, module in self.modules.items()
            for name, buffer in module.named_buffers()
        }

    def train(self, mode: bool = True) -> None:
        """Switch dropout and batch norm of all networks of the pair to training, or off.

        They stay off in a network of which nothing is trained.
        """
        for module in self.modules.values():
            module.train(mode)
            for part in module.modules():
                moved = [parameter.requires_grad for parameter in part.parameters()]
                if moved and not any(moved):
                    part.train(False)

    def to(self, device: torch.device | str) -> None:
        """Move all networks and named params of the pair to a device, each in its place."""
        for module in self.modules.values():
            module.to(device)
        for leaf in self.scope.store["params"].values():
            leaf.data = leaf.data.to(device)


def fields_asked(program: Program) -> dict[str, bool] | None:
    """The parameters in a program's signature, each with whether it must be given.

    Returns:
        Names in order; None if the program takes whatever it is given.
    """
    target = program.forward if isinstance(program, nn.Module) else program
    parameters = inspect.signature(target).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    named = (p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY))
    return {p.name: p.default is p.empty for p in named}


def _modules_of(program: Program) -> dict[str, nn.Module]:
    owner = anchor(program)[0]
    if isinstance(owner, nn.Module):
        return {"": owner}
    if isinstance(program, partial):
        parts: dict[Any, Any] = {**dict(enumerate(program.args)), **program.keywords}
        return _only_modules(parts) | _modules_of(program.func)
    reachable = dict(vars(owner)) if inspect.ismethod(program) else {}
    function = inspect.unwrap(getattr(program, "__func__", program))
    if inspect.isfunction(function):
        closed_over = inspect.getclosurevars(function)
        reachable |= {**closed_over.globals, **closed_over.nonlocals}
    return _only_modules(reachable)


def _only_modules(values: Mapping[Any, Any]) -> dict[str, nn.Module]:
    return {str(key): value for key, value in values.items() if isinstance(value, nn.Module)}
