"""One step of stochastic variational inference."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from ppvae.capture import Captured, Shared
from ppvae.diagnose import bad_gradient, first_bad
from ppvae.objective import Loss, Objective, as_numbers
from ppvae.optimizer import Moves, Optim
from ppvae.pair import Batch, Pair
from ppvae.rerun import noise_state
from ppvae.scope import Program
from ppvae.whole_step import Rows, WholeStep, pays

__all__ = ["SVI", "Loss"]

# Shapes and supports are checked while a pair is new; a long training repeats the same step.
_CHECKED_STEPS = 2


class SVI:
    """Stochastic variational inference, as :class:`pyro.infer.SVI` has it.

    The parameters belong to the pair: a module's parameter is found by identity, whether
    the module is the program, registered by ``pyro.module`` or a ``PyroModule``, and a named
    ``pyro.param`` lives in the pair's own store. Two pairs never share a weight by name.

    Args:
        model: p, a Pyro program.
        guide: q, a Pyro program with the same latent sites.
        optim: a ``pyro.optim`` object, or a callable from parameters to a torch optimizer.
        loss: an estimator of ours, an ELBO of Pyro's, or a callable of model, guide and batch.
        clip_norm: the largest norm that the gradient of all parameters together may have.
        compile: how loss and gradients are computed. "replay": Pyro's Python runs in the first
            steps, and then the operations that it did, bit for bit the same numbers. "inductor":
            these operations compiled, the same up to rounding. "auto": the one that pays for a
            run of this length and shape. "off": Pyro's Python in every step.

    Attributes:
        optimizer: the torch optimizer; None before the first step.
        how: how the last step was computed: "eager", "replay" or "inductor".

    Raises:
        TypeError: model, guide, optim or loss is not of the kind named.
        ValueError: clip_norm is not positive, or compile is none of the four.

    Example:
        >>> import functools, pyro, pyro.distributions as dist, torch
        >>> from ppvae import ELBO, SVI
        >>> def model(x):
        ...     with pyro.plate("data", len(x), dim=-1):
        ...         z = pyro.sample("z", dist.Normal(torch.zeros(()), 1.0))
        ...         pyro.sample("x", dist.Normal(z, 1.0), obs=x)
        >>> def guide(x):
        ...     slope = pyro.param("slope", torch.tensor(0.0))
        ...     with pyro.plate("data", len(x), dim=-1):
        ...         pyro.sample("z", dist.Normal(slope * x, 0.5**0.5))
        >>> _ = torch.manual_seed(0)
        >>> svi = SVI(model, guide, functools.partial(torch.optim.Adam, lr=0.05), ELBO())
        >>> losses = [svi.step(torch.linspace(-3.0, 3.0, 50)) for _ in range(200)]
        >>> round(svi.params["slope"].item(), 1)  # exact: 1/2
        0.5
    """

    def __init__(
        self,
        model: Program,
        guide: Program,
        optim: Optim,
        loss: Loss,
        *,
        clip_norm: float | None = None,
        compile: str | Shared = "auto",
    ) -> None:
        if clip_norm is not None and not clip_norm > 0:
            raise ValueError(f"clip_norm must be positive; got {clip_norm}.")
        self.pair = Pair(model, guide)
        self._objective = Objective(self.pair, loss)
        self.loss: Any = loss
        self.clip_norm = clip_norm
        self._moves = Moves(optim)
        self._leaves: dict[str, Tensor] = {}
        self._size, self._steps, self._warned = -1, 0, False
        self._computed = self._active = Captured(self._compute, self._roots, compile)
        self._whole: WholeStep | None = None

    def begin(self, steps: int, rows: int, step: int = 0) -> None:
        """Take in how many steps of how many rows the run has, and how many it took.

        What pays in a long run does not in a short one; other batches are never compiled.
        """
        self._computed.begin(steps, rows, step)
        if self._whole is not None:
            self._whole.captured.begin(steps, rows, step)

    @property
    def how(self) -> str:
        """How the last step was computed: "eager", "replay" or "inductor"."""
        return self._active.how

    @property
    def compiled_from(self) -> int | None:
        """The first step that ran compiled code; None if none did."""
        return self._active.compiled_from

    @property
    def optimizer(self) -> torch.optim.Optimizer | None:
        """The torch optimizer; None before the first step."""
        return self._moves.optimizer

    @property
    def params(self) -> dict[str, Tensor]:
        """The parameters of the pair by name, as the programs see them."""
        return self.pair.params

    def step(self, *args: Any, **kwargs: Any) -> Any:
        """Take one gradient step and return the loss, minus the N/B-scaled sum of the bound.

        Args:
            args: what model and guide are called with, x of shape (B, ...) first.
            kwargs: named fields, of which each program receives those it asks for.

        Returns:
            The loss in nats as a float (a tuple of floats where Pyro's estimator has several).

        Raises:
            ValueError: the loss reaches no parameter of the pair.

        Warns:
            UserWarning: the loss is not finite, with the site where that begins.
        """
        before = noise_state()
        loss = self.gradients(*args, **kwargs)
        found = as_numbers(loss)
        finite = math.isfinite(sum(found) if isinstance(found, tuple) else found)
        if not finite and not self._warned:
            self._warned = True
            asked = (self.pair, (args, kwargs), getattr(self.loss, "num_particles", 1))
            where = first_bad(*asked, before) or bad_gradient(self._leaves)
            text = f"the loss is {found} in step {self._steps + 1}: {where or 'no site is'}."
            warnings.warn(text, stacklevel=2)
        self.move()
        return found

    def update(self, *args: Any, **kwargs: Any) -> Any:
        """As :meth:`step`, but nobody looks at the loss, (): it stays on the device."""
        return self._updated((args, kwargs))

    def update_rows(self, fields: Mapping[str, Tensor], rows: Tensor) -> Any:
        """As :meth:`update`, on rows (B,) of fields (N, ...); on a GPU it gathers them too."""
        return self._updated(Rows(fields, rows))

    def _updated(self, batch: Batch | Rows) -> Any:
        if self._whole is not None and self._whole.usable:
            self._active = self._whole.captured
            loss = self._whole(batch)
            self._steps += 1
            return loss
        args, fields = batch.gathered if isinstance(batch, Rows) else batch
        loss = self.gradients(*args, **fields)
        self.move()
        return loss

    def gradients(self, *args: Any, **kwargs: Any) -> Any:
        """Add the gradient of the loss to the parameters and return the loss, ()."""
        self._active = self._computed
        loss, gradients = self._computed((args, kwargs))
        for leaf, gradient in zip(self._leaves.values(), gradients, strict=True):
            if gradient is not None:
                leaf.grad = gradient if leaf.grad is None else leaf.grad + gradient
        return loss

    def move(self) -> None:
        """Move the parameters along their gradients, and clear these."""
        self._along_gradients()
        self._steps += 1

    def evaluate_loss(self, *args: Any, **kwargs: Any) -> Any:
        """The loss in nats as a float, moving nothing."""
        with self.pair.entered(), torch.no_grad():
            loss = self._objective.value((args, kwargs))
        return as_numbers(loss)

    def prepare(self) -> torch.optim.Optimizer:
        """The optimizer over the parameters met so far, made before the first step."""
        self._collect()
        assert self.optimizer is not None, "a pair with parameters has an optimizer"
        return self.optimizer

    def _compute(self, batch: Batch) -> tuple[Any, list[Tensor | None]]:
        """The loss and its gradient in each parameter; those that lie there are left alone."""
        lying = [(leaf, leaf.grad) for leaf in self._leaves.values()]
        self._clear()
        with self.pair.entered():
            loss = self._objective.with_gradient(batch, self._steps < _CHECKED_STEPS)
            if self._size != self.pair.scope.size:
                self._collect()
        gradients = [leaf.grad for leaf in self._leaves.values()]
        if self._steps == 0 and all(gradient is None for gradient in gradients):
            self._refuse()
        self._clear()
        for leaf, gradient in lying:
            leaf.grad = gradient
        return loss, gradients

    def _along_gradients(self) -> None:
        if self.clip_norm is not None:
            clip_grad_norm_(self._leaves.values(), self.clip_norm)
        self._moves.step()
        self._clear()

    def _clear(self) -> None:
        for leaf in self._leaves.values():
            leaf.grad = None

    def _roots(self) -> dict[str, Any]:
        """What decides the loss and its gradients."""
        named = {name: leaf for name, leaf in self._leaves.items() if not name.startswith("loss.")}
        return {"model": self.pair.model, "guide": self.pair.guide, "loss": self.loss, **named}

    def _collect(self) -> None:
        self._leaves = self.pair.leaves
        if isinstance(self.loss, nn.Module):
            # What the loss shares with the pair is moved once.
            known = {id(leaf) for leaf in self._leaves.values()}
            own = {f"loss.{n}": p for n, p in self.loss.named_parameters() if id(p) not in known}
            self._leaves |= own
        if not self._leaves:
            self._refuse()
        self._size = self.pair.scope.size
        self._moves.hold([(self.pair.pyro_name(n), leaf) for n, leaf in self._leaves.items()])
        self._whole = None
        if pays(self._leaves.values()) and self.optimizer is not None:
            parts = (self._compute, self._roots, self._along_gradients, self._leaves)
            self._whole = WholeStep(*parts, self.optimizer, self._computed.shared)
            self._whole.captured.begin(*self._computed.begun)

    def _refuse(self) -> None:
        raise ValueError(
            "the loss must reach a parameter of the pair; got none "
            "(a plain function makes its networks known by pyro.module)."
        )
