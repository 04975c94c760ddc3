"""The loop over epochs and steps, whose whole state can be taken down and put back."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pyro
import torch
from torch import Tensor

from ppvae.checkpoint import Checkpoint, optimizer_state, restore_optimizer
from ppvae.data import Data, Fields, batches
from ppvae.diagnose import NotFiniteError, bad_gradient, bad_site
from ppvae.generators import generator_states, generators_put_back, restore_generators
from ppvae.pair import Pair
from ppvae.state import held_out_bound, live_tensors, put_state, taken_state
from ppvae.svi import SVI

__all__ = ["Training", "Watch"]

Watch = Callable[[Pair], Mapping[str, float]]


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
        watch: Watch | None = None,
        watch_every: int = 1,
    ) -> None:
        self.svi = svi
        self.data = data
        self.batch_size = batch_size
        self.steps = steps
        self.seed = seed
        self.patience = patience
        self.full_size = full_size
        self.watch = watch
        self.watch_every = watch_every
        self.steps_per_epoch = math.ceil(data.num_train / batch_size)
        self.step = 0
        self.seconds = 0.0
        self.history: list[dict[str, float]] = []
        self.best_epoch = 0
        self.best_bound = -math.inf
        self._best: dict[str, Tensor] = {}
        self._loss_sum = torch.zeros((), dtype=torch.float64, device=data.train["x"].device)
        pyro.set_rng_seed(seed)

    @property
    def epochs(self) -> int:
        """How many epochs the steps make, the last one perhaps a part of one."""
        return math.ceil(self.steps / self.steps_per_epoch)

    @property
    def stopped_early(self) -> bool:
        """Whether the validation bound has not become better for ``patience`` epochs."""
        return (
            self.patience is not None and len(self.history) - 1 - self.best_epoch >= self.patience
        )

    def run(self) -> Iterator[dict[str, float] | None]:
        """Train to the end; after each epoch its record, after each step None.

        Raises:
            NotFiniteError: the loss is NaN or infinite; :meth:`explain` says where.
        """
        if not self.history:
            yield self._record(math.nan)
        while self.step < self.steps and not self.stopped_early:
            yield from self._epoch()

    def keep_best(self) -> None:
        """Go back to the parameters of the best validation bound, if ``patience`` asked for it."""
        if self._best:
            put_state(live_tensors(self.svi), self._best)

    def _epoch(self) -> Iterator[dict[str, float] | None]:
        epoch, position = divmod(self.step, self.steps_per_epoch)
        if position and self.history[-1]["step"] == self.step:
            # A run that ended within this epoch goes on: its record is made anew at the end.
            self.history.pop()
        self.svi.pair.train(True)
        start = time.perf_counter()
        for number, batch in enumerate(self._batches(epoch)):
            if number < position:
                continue
            loss = self.svi.update(**batch)
            self._count(loss)
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
        rows = min(taken * self.batch_size, self.data.num_train)
        yield self._record(-total / rows)
        if self.step % self.steps_per_epoch == 0:
            self._loss_sum.zero_()

    def explain(self) -> NotFiniteError | None:
        """What went wrong, found by stepping on from here with a check at each step.

        Call it after :meth:`restore` of the last good state.
        """
        while self.step < self.steps:
            epoch, position = divmod(self.step, self.steps_per_epoch)
            self.svi.pair.train(True)
            for number, batch in enumerate(self._batches(epoch)):
                if number < position:
                    continue
                states = generator_states()
                reason = self._wrong_step(batch)
                if reason is None:
                    continue
                restore_generators(states)
                draws = getattr(self.svi.loss, "num_particles", 1)
                site = bad_site(self.svi.pair, ((), batch), draws)
                return NotFiniteError(
                    f"training met a value that is not finite in step {self.step + 1} "
                    f"(epoch {epoch + 1}): {site or reason}."
                )
        return None

    def _wrong_step(self, batch: Fields) -> str | None:
        try:
            with self.svi.pair.entered(), pyro.validation_enabled(False):
                loss = self.svi.gradients(**batch)
                total = float(sum(loss) if isinstance(loss, tuple) else loss)
                reason = None if math.isfinite(total) else f"the loss is {total}"
                reason = reason or bad_gradient(self.svi.pair.leaves)
                if reason is None:
                    self.svi.move()
                    self._count(torch.zeros(()))
        except (ValueError, RuntimeError) as error:
            return str(error).splitlines()[0]
        return reason

    def _batches(self, epoch: int) -> Iterator[Fields]:
        fields = self.data.epoch(epoch, self.seed)
        return batches(fields, self.batch_size, seed=self.seed, epoch=epoch)

    def _count(self, loss: Any) -> None:
        total = sum(loss) if isinstance(loss, tuple) else loss
        self.step += 1
        rows = self.batch_size
        if self.step % self.steps_per_epoch == 0:
            rows = self.data.num_train - (self.steps_per_epoch - 1) * self.batch_size
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
        }
        pair.train(False)
        with generators_put_back(), torch.no_grad():
            record["valid_bound"] = held_out_bound(self.svi, self.data.valid, self.full_size)
            if self.watch and (epoch % self.watch_every == 0 or self.step == self.steps):
                with pair.entered():
                    record |= self.watch(pair)
        self.history.append(record)
        if self.patience is not None and record["valid_bound"] > self.best_bound:
            self.best_epoch, self.best_bound = epoch, record["valid_bound"]
            self._best = taken_state(self.svi)
        return record

    def take(self) -> Checkpoint:
        """The whole state of the training now."""
        optimizer = self.svi.optimizer or self.svi.prepare()
        optimizer_tensors, optimizer_values = optimizer_state(optimizer)
        history = {
            name: torch.tensor([r.get(name, math.nan) for r in self.history], dtype=torch.float64)
            for name in dict.fromkeys(key for record in self.history for key in record)
        }
        groups = {
            "state": taken_state(self.svi),
            "optimizer": optimizer_tensors,
            "generator": generator_states(),
            "history": history,
            "best": self._best,
            "sum": {"loss": self._loss_sum.cpu().clone()},
        }
        tensors = {f"{g}/{name}": t for g, each in groups.items() for name, t in each.items()}
        values = {
            "step": self.step,
            "seconds": self.seconds,
            "best": [self.best_epoch, self.best_bound],
            "optimizer": optimizer_values,
        }
        return Checkpoint(tensors, json.loads(json.dumps(values)))

    def restore(self, checkpoint: Checkpoint) -> None:
        """Put the training into a state that :meth:`take` gave.

        Raises:
            ValueError: the state is of another pair.
        """
        put_state(live_tensors(self.svi), checkpoint.group("state"))
        restore_optimizer(
            self.svi.prepare(), checkpoint.group("optimizer"), checkpoint.values["optimizer"]
        )
        columns = checkpoint.group("history")
        length = len(next(iter(columns.values()), ()))
        self.history = [{n: float(c[i]) for n, c in columns.items()} for i in range(length)]
        self.step = checkpoint.values["step"]
        self.seconds = checkpoint.values["seconds"]
        self.best_epoch, self.best_bound = checkpoint.values["best"]
        self._best = checkpoint.group("best")
        self._loss_sum.copy_(checkpoint.group("sum")["loss"])
        restore_generators(checkpoint.group("generator"))
