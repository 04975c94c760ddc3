"""Many gradients at the same parameters: vectorized over draws where that can be done."""

from __future__ import annotations

import contextlib
import copy
import math
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import pyro
import pyro.infer
import torch
from torch import Tensor, nn
from torch.func import grad_and_value, vmap

from ppvae.bench.swapped import Swapped
from ppvae.capture import Captured
from ppvae.draws import drawn_terms
from ppvae.estimators import Estimator
from ppvae.generators import generator_states, generators_put_back, restore_generators
from ppvae.pair import Batch, Pair
from ppvae.passes import size_of
from ppvae.svi import SVI
from ppvae.tracing import buffers_put_back

__all__ = ["Drawn", "Sampler"]

# Gradients by parameter, (draws, *shape), and values of the bound, (draws,).
Drawn = tuple[dict[str, Tensor], Tensor]

# Numbers of draws computed at once: on a CPU they should stay in the cache.
_AT_ONCE = 2**20
# Below this the bookkeeping of a vectorized computation costs what it saves.
_FEWEST = 4


class Sampler:
    """Independent gradients of an estimator, as a training step would follow them.

    They are those of the mean bound per datum in nats, upwards. Nothing moves: the estimator is a
    copy that does not learn, and parameters, buffers, generators and ``.grad`` go back.

    Args:
        pair: model and guide, whose parameters exist.
        batch: what they are run on.
        estimator: whose gradient is taken.
        leaves: the parameters that it is taken in, by name.
        compile: how they are computed, together or one by one, as in :class:`ppvae.SVI`.

    Attributes:
        at_once: draws that are computed together; 1 where they are looped.
    """

    def __init__(
        self,
        pair: Pair,
        batch: Batch,
        estimator: pyro.infer.ELBO,
        leaves: Mapping[str, Tensor],
        compile: str = "auto",
    ) -> None:
        self._pair = pair
        self._batch = batch
        self._estimator = copy.deepcopy(estimator)
        if isinstance(self._estimator, nn.Module):
            # What it learns, it learns from training steps.
            self._estimator.eval()
        if isinstance(self._estimator, Estimator) and not list(self._estimator.buffers()):
            # One that holds something of each row already keeps it.
            self._estimator.prepare(pair, batch, _rows_of(batch))
        self._leaves = dict(leaves)
        self._as_python, self._drawing = self._svi("off"), self._svi(compile)
        self._asked = self._as_python if compile == "auto" else self._drawing
        self._together = Captured(self._vectorized, self._roots, compile)
        self._factor, size = self._sizes()
        self.at_once = self._tried(_AT_ONCE // size)

    def draw(self, number: int) -> Iterator[Drawn]:
        """So many gradients, a few at a time."""
        args, fields = self._batch
        rows = [len(v) for v in (*args, *fields.values()) if isinstance(v, Tensor) and v.dim()]
        self._drawing.begin(number, rows[0] if rows else 0)
        # The last few, fewer than the others, are not worth a graph of their own.
        self._together.begin(math.ceil(number / self.at_once), self.at_once)
        with self.still():
            for start in range(0, number, self.at_once):
                some = self._few(min(self.at_once, number - start))
                yield self._one(self._drawing) if self.at_once == 1 else self._together(some)

    def as_python(self) -> Drawn:
        """One ordinary gradient as Pyro's Python computes it; inside of :meth:`still`."""
        return self._one(self._as_python)

    def as_asked(self) -> Drawn:
        """The same, replayed or compiled if that was asked for; inside of :meth:`still`."""
        return self._one(self._asked)

    @property
    def how(self) -> str:
        """How the last one of :meth:`as_asked` was computed: "eager", "replay" or "inductor"."""
        return self._asked.how

    @contextlib.contextmanager
    def still(self) -> Iterator[None]:
        """Run the pair inside this: gradients that lie on parameters go back, buffers too."""
        lying = {name: leaf.grad for name, leaf in self._leaves.items()}
        self._clear()
        try:
            with (
                self._pair.entered(),
                buffers_put_back(self._pair),
                pyro.validation_enabled(False),
            ):
                yield
        finally:
            for name, leaf in self._leaves.items():
                leaf.grad = lying[name]

    def _svi(self, compile: str) -> SVI:
        model, guide = self._pair.model, self._pair.guide
        return SVI(model, guide, torch.optim.Adam, self._estimator, compile=compile)

    def _sizes(self) -> tuple[float, int]:
        """N, which turns a loss into one per datum, and how many numbers a draw takes."""
        particles = int(getattr(self._estimator, "num_particles", 1))
        with self.still(), generators_put_back(), torch.no_grad():
            terms = drawn_terms(self._pair, self._batch, particles)
            args, fields = self._batch
            data = sum(v.numel() for v in (*args, *fields.values()) if isinstance(v, Tensor))
            drawn = sum(value.numel() for value in terms.values.values())
        parameters = sum(leaf.numel() for leaf in self._leaves.values())
        return terms.scale * terms.batch_size, max(drawn + particles * data, parameters)

    def _tried(self, at_once: int) -> int:
        """How many draws are computed together, after a look at whether they come out right."""
        if at_once < _FEWEST or not isinstance(self._estimator, Estimator):
            with self.still(), generators_put_back():
                # What it refuses, it refuses now.
                self.as_python()
            return 1
        with self.still(), generators_put_back():
            reason = self._reason_to_loop()
        if reason is None:
            return at_once
        name = type(self._estimator).__name__
        warnings.warn(
            f"gradients of {name} are drawn one by one, since {reason}",
            stacklevel=5,
        )
        return 1

    def _reason_to_loop(self) -> str | None:
        start = generator_states()
        ordinary = _joined(self.as_python())
        after = generator_states()
        if not all(torch.equal(start[name], after[name]) for name in ("numpy", "python")):
            return "the pair draws from NumPy or Python"
        try:
            restore_generators(start)
            alone = _joined(self._vectorized(self._few(1)))
            two = _joined(self._vectorized(self._few(2)))
        except Exception as error:
            return (str(error).strip() or type(error).__name__).splitlines()[0]
        # One draw of a vectorized computation takes the noise that an ordinary one takes.
        tolerance = torch.finfo(ordinary.dtype).eps ** 0.5 * ordinary.norm()
        if ordinary.isfinite().all() and not (alone - ordinary).norm() <= tolerance:
            return "a draw of several computed together is not the one computed alone"
        if torch.equal(two[0], two[1]) and not torch.equal(two[0], ordinary[0]):
            return "draws that are computed together are all the same"
        return None

    def _one(self, svi: SVI) -> Drawn:
        args, fields = self._batch
        loss = svi.gradients(*args, **fields)
        found = {
            name: self._upwards(torch.zeros_like(leaf) if leaf.grad is None else leaf.grad)[None]
            for name, leaf in self._leaves.items()
        }
        self._clear()
        total = torch.as_tensor(sum(loss) if isinstance(loss, tuple) else loss)
        return found, self._upwards(total)[None]

    def _few(self, number: int) -> tuple[Tensor, Batch]:
        """What so many gradients are computed from: a zero for each, (draws,), and the batch."""
        return next(iter(self._leaves.values())).new_zeros(number), self._batch

    def _vectorized(self, given: tuple[Tensor, Batch]) -> Drawn:
        leaves = list(self._leaves.values())
        draws, (args, fields) = given
        estimator, pair = self._estimator, self._pair
        assert isinstance(estimator, Estimator)

        def loss(values: list[Tensor], draw: Tensor) -> Tensor:
            with Swapped(leaves, values, draw):
                return estimator.differentiable_loss(pair.model, pair.guide, *args, **fields)

        each = vmap(grad_and_value(loss), in_dims=(None, 0), randomness="different")
        gradients, losses = each([t.detach() for t in leaves], draws)
        upwards = [self._upwards(g.detach()) for g in gradients]
        return dict(zip(self._leaves, upwards, strict=True)), self._upwards(losses.detach())

    def _roots(self) -> dict[str, Any]:
        """What decides the gradients."""
        programs = {"model": self._pair.model, "guide": self._pair.guide}
        return {**programs, "loss": self._estimator, **self._leaves}

    def _upwards(self, downwards: Tensor) -> Tensor:
        return -downwards / self._factor

    def _clear(self) -> None:
        for leaf in self._leaves.values():
            leaf.grad = None


def _rows_of(batch: Batch) -> int:
    """How many rows the data have, as far as the batch tells."""
    index = batch[1].get("index")
    return int(index.max()) + 1 if isinstance(index, Tensor) else size_of(batch)


def _joined(drawn: Drawn) -> Tensor:
    """Gradients side by side, (draws, P)."""
    return torch.cat([gradient.reshape(len(drawn[1]), -1) for gradient in drawn[0].values()], 1)
