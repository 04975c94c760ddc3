"""The runs of a comparison, one after another."""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import xarray as xr

from ppvae.capture import Shared
from ppvae.compare.assemble import assembled
from ppvae.compare.comparison import Comparison
from ppvae.compare.measure import HeldOut, measured
from ppvae.compare.plan import Entry, Length
from ppvae.compare.progress import RunsProgress
from ppvae.diagnose import NotFiniteError
from ppvae.fit import fit
from ppvae.generate import sample
from ppvae.run import Run
from ppvae.threads import cpu_threads

__all__ = ["Job"]

_WARM_UP_STEPS = 5
_SAMPLES = 25


class Job:
    """All runs of a comparison.

    Args:
        planned: the lines of the table, the first of them for good.
        lengths: of a run of each, by label.
        seeds: of the runs.
        asked: what :func:`ppvae.fit` is told, and not left to the experiment.
        num_particles: K of the estimate of log p(x) on test rows.
    """

    def __init__(
        self,
        planned: Sequence[Entry],
        lengths: Mapping[str, Length],
        seeds: Sequence[int],
        asked: Mapping[str, Any],
        num_particles: int,
    ) -> None:
        self._planned = list(planned)
        self._lengths = lengths
        self._seeds = seeds
        self._asked = asked
        self._shared = {each.label: Shared(asked["compile"], len(seeds)) for each in planned}
        self._num_particles = num_particles
        self._found: dict[tuple[str, int], xr.Dataset] = {}
        self._notes: list[str] = []
        self._samples: dict[str, xr.Dataset] = {}

    def result(self, progress: bool, command: str) -> Comparison:
        """Do it all, showing runs as they end."""
        with cpu_threads(self._asked["threads"]):
            costs = self._warm_up()
            with RunsProgress(costs, len(self._seeds), progress) as shown:
                self._run(shown)
            dataset = assembled(
                self._planned, self._seeds, self._found, self._notes, self._num_particles, command
            )
        return Comparison(dataset, self._samples)

    def _warm_up(self) -> dict[str, float]:
        """Take a few steps of each entry, and what a run of each will cost in seconds.

        An optional one that refuses its pair is planned no more.

        Raises:
            ValueError: another one refuses its pair, or none is left.
        """
        for entry in list(self._planned):
            try:
                self._cost(entry)
            except (ValueError, NotImplementedError) as error:
                if not entry.optional:
                    raise
                self._planned.remove(entry)
                # Pyro adds a table of shapes to whatever a program raises.
                reason = " ".join(str(error).partition("Trace Shapes:")[0].split())
                self._notes.append(f"{entry.label} is left out: {reason}")
        if not self._planned:
            raise ValueError(f"compare needs an estimator that takes the pair; {self._notes[0]}")
        # What is done only once, by the process or for an estimator, was in the first numbers.
        return {entry.label: self._cost(entry) for entry in self._planned}

    def _cost(self, entry: Entry) -> float:
        """The seconds that a run will train, by its first steps; 1 where these meet NaN."""
        steps, shared = self._lengths[entry.label].steps, self._shared[entry.label]
        # So many of these few steps will there be: what pays for all is captured now.
        shared.runs = math.ceil(len(self._seeds) * steps / _WARM_UP_STEPS)
        few = {**self._asked, "epochs": None, "steps": _WARM_UP_STEPS, "compile": shared}
        try:
            run, _ = _trained(entry, self._seeds[0], few, looks={0, 1}, num_particles=2)
        except NotFiniteError:
            return 1.0
        finally:
            shared.runs = len(self._seeds)
        return float(run.history["seconds"][-1]) * steps

    def _run(self, shown: RunsProgress) -> None:
        """Train each entry with each seed; a run that meets NaN has no numbers, and is noted."""
        for turn, seed in enumerate(self._seeds):
            # There and back again: a machine that grows slower spares neither end of the table.
            for entry in self._planned[:: -1 if turn % 2 else 1]:
                shown.begin(entry.label, seed)
                shown.end(entry.label, seed, self._run_one(entry, seed))

    def _run_one(self, entry: Entry, seed: int) -> str:
        looks = self._lengths[entry.label].looks
        asked = {**self._asked, "compile": self._shared[entry.label]}
        try:
            with warnings.catch_warnings():
                # The warm-up has said all that there is to say of this pair.
                warnings.simplefilter("ignore")
                run, found = _trained(entry, seed, asked, looks, self._num_particles)
        except NotFiniteError as error:
            self._notes.append(f"{entry.label}, seed {seed}: {error}")
            return str(error)
        self._found[entry.label, seed] = found
        note = f"{entry.label}: {run.note}"
        if run.note and note not in self._notes:
            self._notes.append(note)
        if seed == self._seeds[0] and run.data.image_shape is not None:
            self._draw(entry.label, run)
        evidence, seconds = float(found["log_evidence"].mean()), float(found["seconds"].max())
        return f"log p(x) {evidence:.2f} nats after {seconds:.1f} s of training"

    def _draw(self, label: str, run: Run) -> None:
        """Keep images from the prior; hours of training are not lost over a picture."""
        try:
            drawn = sample(run, _SAMPLES)
        except ValueError as error:
            self._notes.append(f"samples of {label} are left out: {error}")
        else:
            self._samples[label] = drawn.assign_attrs(image_shape=run.data.image_shape)


def _trained(
    entry: Entry, seed: int, asked: Mapping[str, Any], looks: Collection[int], num_particles: int
) -> tuple[Run, xr.Dataset]:
    held_out = HeldOut(entry.data.valid, looks)
    run = fit(
        entry.build(seed),
        entry.data,
        **asked,
        seed=seed,
        progress=False,
        watch=held_out,
    )
    return run, measured(run, held_out, num_particles)
