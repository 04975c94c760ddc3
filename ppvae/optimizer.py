"""One torch optimizer over all parameters of a pair, made from what Pyro users write."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import torch
from pyro.optim import PyroOptim
from pyro.optim.lr_scheduler import PyroLRScheduler
from torch import Tensor
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

from ppvae.fused_adam import FusedAdam

__all__ = ["Moves", "Optim", "in_words"]

Optim = PyroOptim | Callable[[Iterable[Tensor]], torch.optim.Optimizer]


class Moves:
    """Moves the parameters of a pair along their gradients.

    A ``pyro.optim`` object becomes a single torch optimizer (fused where torch has that), with a
    parameter group for each parameter if its settings are a function of the name; its clipping
    stays per parameter, and its ``step`` goes on driving the learning-rate schedule.

    Args:
        optim: a ``pyro.optim`` object, or a callable from parameters to a torch optimizer.

    Raises:
        TypeError: optim is neither.
    """

    def __init__(self, optim: Optim) -> None:
        known = isinstance(optim, PyroOptim) and (
            isinstance(optim, PyroLRScheduler) or type(optim).__call__ is PyroOptim.__call__
        )
        if not known and (
            isinstance(optim, PyroOptim | torch.optim.Optimizer) or not callable(optim)
        ):
            raise TypeError(
                "optim must be a pyro.optim object or a callable from parameters to a "
                f"torch optimizer; got {type(optim).__name__}."
            )
        self._optim = optim
        self._clip: list[tuple[Tensor, Mapping[str, float]]] = []
        self._held: set[int] = set()
        self.optimizer: torch.optim.Optimizer | None = None
        self._mover: FusedAdam | None = None

    def hold(self, leaves: list[tuple[str, Tensor]]) -> None:
        """Take in the parameters that are new, each with the name that Pyro gives it."""
        new = [(name, leaf) for name, leaf in leaves if id(leaf) not in self._held]
        if not new:
            return
        self._held |= {id(leaf) for _, leaf in new}
        groups = self._groups(new)
        if self.optimizer is None:
            self.optimizer = self._make(groups)
            return
        for group in groups:
            self.optimizer.add_param_group(group)

    def step(self) -> None:
        """One step along the gradients."""
        for leaf, settings in self._clip:
            if "clip_norm" in settings:
                clip_grad_norm_(leaf, settings["clip_norm"])
            if "clip_value" in settings:
                clip_grad_value_(leaf, settings["clip_value"])
        if self.optimizer is not None:
            if self._mover is None:
                self._mover = FusedAdam(self.optimizer)
            self._mover.step()

    def _groups(self, leaves: list[tuple[str, Tensor]]) -> list[dict[str, Any]]:
        tensors = [leaf for _, leaf in leaves]
        if not isinstance(self._optim, PyroOptim):
            return [{"params": tensors}]
        clip = self._optim.pt_clip_args
        for name, leaf in leaves:
            settings = _of_name(clip, name)
            if settings:
                self._clip.append((leaf, settings))
        common = self._optim.pt_optim_args
        if not callable(common):
            return [{"params": tensors, **common}]
        return [{"params": [leaf], **_of_name(common, name)} for name, leaf in leaves]

    def _make(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        if not isinstance(self._optim, PyroOptim):
            return self._optim(groups[0]["params"])
        constructor: Any = self._optim.pt_optim_constructor
        common = {k: v for k, v in groups[0].items() if k != "params"} if len(groups) == 1 else {}
        if "fused" in inspect.signature(constructor).parameters and not (
            {"fused", "foreach", "differentiable"} & {key for group in groups for key in group}
        ):
            common["fused"] = True
        optimizer: torch.optim.Optimizer = constructor(groups, **common)
        if isinstance(self._optim, PyroLRScheduler):
            scheduler = self._optim.pt_scheduler_constructor(optimizer, **self._optim.kwargs)
            # Where the user's own scheduler.step() looks for what it drives.
            self._optim.optim_objs[groups[0]["params"][0]] = scheduler
        return optimizer


def in_words(optim: Optim) -> str:
    """An optimizer and its settings, the same in every process."""
    if isinstance(optim, PyroOptim):
        settings = [_name(s) for s in (optim.pt_optim_args, optim.pt_clip_args) if s]
        return f"{_name(optim.pt_optim_constructor)}({', '.join(settings)})"
    if isinstance(optim, partial):
        return f"{_name(optim.func)}({optim.keywords})"
    return _name(optim)


def _name(thing: Any) -> str:
    return (
        str(thing) if isinstance(thing, dict) else getattr(thing, "__name__", type(thing).__name__)
    )


def _of_name(settings: Any, name: str) -> dict[str, Any]:
    """Settings for one parameter; a function of two names gets module and parameter, as in Pyro."""
    if not callable(settings):
        return dict(settings)
    if len(inspect.signature(settings).parameters) == 1:
        return dict(settings(name.replace("$$$", ".")))
    module, _, parameter = name.partition("$$$")
    return dict(settings(module, parameter or module))
