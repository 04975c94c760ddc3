"""The loop over epochs and steps, whose whole state can be taken down and put back."""

from __future__ import annotations

import itertools
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyro
import torch
from torch import Tensor

from ppvae.checkpoint import Checkpoint, columns, optimizer_state, restore_optimizer
from ppvae.data import Batching, Data, Fields
from ppvae.diagnose import NotFiniteError
from ppvae.generators import generator_states, generators_put_back, restore_generators
from ppvae.pair import Pair
from ppvae.state import figures_of, held_out_bound, live_tensors, put_state, taken_state
from ppvae.svi import SVI

__all__ = ["Training", "Watch"]

Watch = Callable[[Pair], Mapping[str, float]]


@dataclass(frozen=True)
class Best:
    """The epoch with the best validation bound so far, and the state after it."""

    epoch: int = 0
    bound: float = -math.inf
    state: Mapping[str, Tensor] = field(default_factory=dict)


class Training:
    """A training between its first step and its last.

    Args:
        svi: the step.
        data: on the device of the pair.
        batch_size: rows in a step.
        steps: how many steps to take in all.
        seed: of the order of rows, of binarisation and of all draws.
        patience: epochs without a better validation bound before it stops; None never does.
        full_size: the size of a subsampled data plate, over which the loss is scaled; None where
            the loss is a sum over the rows of the batch.
        labelled: rows with a label in a step, as in :class:`ppvae.data.Batching`.
        watch: called at the end of epochs, its figures join the history.
        watch_every: in how many epochs.
    """

    def __init__(
        self,
        svi: SVI,
        data: Data,
        *,
        batch_size: int,
        steps: int,
        seed: int,
        patience: int | None = None,
        full_size: int | None = None,
        labelled: int | None = None,
        watch: Watch | None = None,
        watch_every: int = 1,
    ) -> None:
        self.svi = svi
        self.data = data
        self.steps = self.length = steps
        self.seed = seed
        self.patience = patience
        self.full_size = full_size
        self.watch = watch
        self.watch_every = watch_every
        self.batching = Batching(data.train, batch_size, labelled)
        self.steps_per_epoch = self.batching.steps
        self.step = 0
        self.seconds = 0.0
        self.history: list[dict[str, float]] = []
        self.best = Best()
        # Of whole epochs alone: the last one may be a part of one, and done again on a resume.
        self._best_whole = self.best
        self._loss_sum = torch.zeros((), dtype=torch.float64, device=data.train["x"].device)
        self._compiled_from = 0
        svi.begin(steps, self.batching.rows_after(1))
        pyro.set_rng_seed(seed)

    @property
    def compiled_from(self) -> int:
        """The first step that ran compiled code, in this process or before it; 0 if none did."""
        return self._compiled_from or self.svi.compiled_from or 0

    @property
    def epochs(self) -> int:
        """How many epochs the steps make, the last one perhaps a part of one."""
        return math.ceil(self.steps / self.steps_per_epoch)

    @property
    def stopped_early(self) -> bool:
        """Whether the validation bound has not become better for ``patience`` epochs."""
        # In whole epochs: a resume may go on where the last one is a part of one.
        since = self.step // self.steps_per_epoch - self._best_whole.epoch
        return self.patience is not None and since >= self.patience

    def run(self) -> Iterator[dict[str, float] | None]:
        """Train to the end; after each epoch its record, after each step None.

        Raises:
            NotFiniteError: the loss is NaN or infinite.
        """
        if not self.history:
            yield self._record(math.nan)
        while self.step < self.steps and not self.stopped_early:
            yield from self._epoch()

    def keep_best(self) -> None:
        """Go back to the parameters of the best validation bound, if ``patience`` asked for it."""
        if self.best.state:
            put_state(live_tensors(self.svi), self.best.state)

    def _epoch(self) -> Iterator[dict[str, float] | None]:
        epoch, position = divmod(self.step, self.steps_per_epoch)
        if position and self.history[-1]["step"] == self.step:
            # A run that ended within this epoch goes on: its record is made anew at the end.
            self.history.pop()
            self.best = self._best_whole
        self.svi.pair.train(True)
        start = time.perf_counter()
        fields, each = self.rows_left()
        for rows in each:
            self.count(self.svi.update_rows(fields, rows))
            if self.step == self.steps or self.step % self.steps_per_epoch == 0:
                break
            self.seconds += time.perf_counter() - start
            yield None
            start = time.perf_counter()
        total = float(self._loss_sum)  # waits for the device
        self.seconds += time.perf_counter() - start
        if not math.isfinite(total):
            raise NotFiniteError(f"the loss is {total} in epoch {epoch + 1}")
        taken = self.step - epoch * self.steps_per_epoch
        if self.step % self.steps_per_epoch == 0:
            # Before the state is taken down, at the end of the epoch.
            self._loss_sum.zero_()
        yield self._record(-total / self.batching.rows_after(taken))

    def rows_left(self) -> tuple[Fields, Iterator[Tensor]]:
        """The fields of this epoch, and the rows of each batch that no step was taken on yet."""
        epoch, position = divmod(self.step, self.steps_per_epoch)
        each = self.batching.rows(seed=self.seed, epoch=epoch)
        return self.data.epoch(epoch, self.seed), itertools.islice(each, position, None)

    def count(self, loss: Any) -> None:
        """Count a step with this loss.

        Raises:
            NotFiniteError: the loss is NaN or infinite.
        """
        total = sum(loss) if isinstance(loss, tuple) else loss
        position = self.step % self.steps_per_epoch
        self.step += 1
        rows = self.batching.rows_after(position + 1) - self.batching.rows_after(position)
        self._loss_sum += total * (rows / self.full_size) if self.full_size else total
        # Reading the loss costs nothing on a CPU; a GPU is asked once an epoch.
        if not self._loss_sum.is_cuda and not math.isfinite(float(total)):
            raise NotFiniteError(f"the loss is {float(total)} in step {self.step}")

    def _record(self, train_bound: float) -> dict[str, float]:
        pair, epoch = self.svi.pair, len(self.history)
        record = {
            "step": float(self.step),
            "seconds": self.seconds,
            "train_bound": train_bound,
            **figures_of(self.svi),
        }
        self.history.append(record)
        pair.train(False)
        with generators_put_back(), torch.no_grad():
            record["valid_bound"] = held_out_bound(self.svi, self.data.valid, self.full_size)
            self._note_best(epoch, record["valid_bound"])
            last = self.step == self.steps or self.stopped_early
            if self.watch and (epoch % self.watch_every == 0 or last):
                with pair.entered():
                    record |= {name: float(value) for name, value in self.watch(pair).items()}
        return record

    def _note_best(self, epoch: int, bound: float) -> None:
        if self.patience is not None and bound > self.best.bound:
            self.best = Best(epoch, bound, taken_state(self.svi))
        if self.step % self.steps_per_epoch == 0:
            self._best_whole = self.best

    def take(self) -> Checkpoint:
        """The whole state of the training now."""
        moments, plain = optimizer_state(self.svi.optimizer or self.svi.prepare())
        groups = {
            "state": taken_state(self.svi),
            "optimizer": moments,
            "generator": generator_states(),
            "history": columns(self.history),
            "best": self.best.state,
            "best_whole": {} if self._best_whole is self.best else self._best_whole.state,
            "sum": {"loss": self._loss_sum.cpu().clone()},
        }
        tensors = {f"{g}/{name}": t for g, each in groups.items() for name, t in each.items()}
        values = {
            "step": self.step,
            "length": self.length,
            "compiled_from": self.compiled_from,
            "seconds": self.seconds,
            "early": self.stopped_early,
            "best": [self.best.epoch, self.best.bound],
            "best_whole": [self._best_whole.epoch, self._best_whole.bound],
            "optimizer": plain,
        }
        return Checkpoint(tensors, json.loads(json.dumps(values)))

    def restore(self, checkpoint: Checkpoint) -> None:
        """Put the training into a state that :meth:`take` gave.

        Raises:
            ValueError: the state is of another pair.
        """
        live = live_tensors(self.svi)
        put_state(live, checkpoint.group("state"))
        for tensor in live.values():
            tensor.grad = None
        restore_optimizer(
            self.svi.prepare(), checkpoint.group("optimizer"), checkpoint.values["optimizer"]
        )
        self.history = checkpoint.history
        self.step = checkpoint.values["step"]
        self.length = checkpoint.values["length"]
        self._compiled_from = checkpoint.values["compiled_from"]
        # With the length that the run began with: compiled code never takes over at another step.
        self.svi.begin(self.length, self.batching.rows_after(1), self.step)
        self.seconds = checkpoint.values["seconds"]
        self.best = self._best_whole = _kept_best(checkpoint, "best")
        if checkpoint.values["best_whole"] != checkpoint.values["best"]:
            self._best_whole = _kept_best(checkpoint, "best_whole")
        self._loss_sum.copy_(checkpoint.group("sum")["loss"])
        restore_generators(checkpoint.group("generator"))


def _kept_best(checkpoint: Checkpoint, name: str) -> Best:
    epoch, bound = checkpoint.values[name]
    return Best(epoch, bound, checkpoint.group(name))
