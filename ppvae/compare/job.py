"""The main job: one pair trained under many estimators, all judged by the same measure."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pyro.infer

from ppvae.atomic import write_whole
from ppvae.compare.comparison import Comparison
from ppvae.compare.plan import Entry, Length, Maker, entries
from ppvae.compare.runs import Job
from ppvae.data import Data
from ppvae.prepare import refuse_mode

__all__ = ["compare"]

_QUICK_STEPS = 200
_QUICK_PARTICLES = 100
_QUICK_POINTS = 5


def compare(
    experiments: Maker | Sequence[Maker],
    data: Data | Sequence[Data],
    *,
    estimators: Sequence[pyro.infer.ELBO] | None = None,
    optional: Sequence[pyro.infer.ELBO] = (),
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    epochs: int | None = None,
    steps: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    clip_norm: float | None = None,
    num_particles: int = 1000,
    points: int = 20,
    device: str = "auto",
    threads: int | None = 1,
    compile: str = "auto",
    folder: str | Path | None = None,
    quick: bool = False,
    progress: bool = True,
    command: str = "",
) -> Comparison:
    """Train experiments under several estimators, and say which lies above which.

    For one seed all estimators start from the same weights and see the same rows in the same
    order. All are judged by one measure, log p(x) of held-out rows by importance weighting, read
    from one set of runs after equal steps and after equal seconds of training. Runs take turns,
    estimator by estimator within a seed, so that what slows the machine down slows all alike; a
    few steps of each go before, so that nobody's clock holds what is done only once.

    Args:
        experiments: recipes as :func:`ppvae.experiment.find_recipe` finds them, or functions from
            data to an :class:`~ppvae.Experiment`; one or several.
        data: what they are trained and judged on: one for all, or one for each.
        estimators: the first is what the others are compared with; by default Pyro's
            ``Trace_ELBO`` and ``TraceMeanField_ELBO``, then ``ELBO(5)``, ``Renyi(0.5, 5)``,
            ``IWAE(5)`` and ``IWAE(50)``, and of several experiments ``ELBO()`` alone.
        optional: estimators that follow these; one that refuses a pair in its first steps is left
            out with a note, where another would end the comparison.
        seeds: of initial weights, order of rows and draws. With one there are no intervals.
        epochs: passes over the training rows; the experiment's own unless given.
        steps: instead of epochs, how many steps in all.
        batch_size: rows in a step; the experiment's own unless given.
        lr: learning rate of Adam; the experiment's own unless given.
        clip_norm: the largest norm that the gradient of a step may have.
        num_particles: K of the final estimate of log p(x) on the test rows, the same for all.
        points: of the held-out curves, dense at the beginning of the run.
        device: "auto" (a GPU if there is one), "cpu", "cuda" or "cuda:1".
        threads: of torch on the CPU; one, since steps are small and a second one
            waits for whatever else the machine does, which no clock forgives.
        compile: how a step is computed, as in :func:`ppvae.fit`; the runs of an estimator share
            what is captured, once and off the clock, and "auto" is what pays for all of them.
        folder: where to write report, table, numbers and pictures at the end.
        quick: 200 steps unless told otherwise, 100 draws at the end, and few points.
        progress: whether to show runs as they end.
        command: what this is in a shell, for the report.

    Returns:
        The comparison: print it, or look into its ``dataset``.

    Raises:
        ValueError: an argument, the data or a pair breaks a rule; nothing was trained in earnest.
        TypeError: an estimator is of another kind.
        NotFiniteError: no run at all came to a finite end.
        OSError: the folder cannot be written to.
    """
    planned = entries(experiments, data, estimators, optional)
    _refuse(seeds, compile, num_particles=num_particles, points=points, epochs=epochs, steps=steps)
    if folder is not None:
        _refuse_folder(Path(folder))
    if quick:
        num_particles, points = min(num_particles, _QUICK_PARTICLES), min(points, _QUICK_POINTS)
        steps = _QUICK_STEPS if steps is None and epochs is None else steps
    asked = {
        **{"epochs": epochs, "steps": steps, "batch_size": batch_size, "lr": lr},
        **{"clip_norm": clip_norm, "device": device, "threads": threads, "compile": compile},
    }
    lengths = {each.label: Length.of(each, seeds[0], asked, points) for each in planned}
    if progress:
        print(_opening(planned, list(lengths.values()), seeds), file=sys.stderr, flush=True)
    comparison = Job(planned, lengths, seeds, asked, num_particles).result(progress, command)
    if folder is not None:
        comparison.save(folder)
    return comparison


def _opening(planned: Sequence[Entry], lengths: Sequence[Length], seeds: Sequence[int]) -> str:
    steps, epochs = (_span([getattr(each, n) for each in lengths]) for n in ("steps", "epochs"))
    labels = ", ".join(entry.label for entry in planned)
    return (
        f"compare: {len(planned) * len(seeds)} runs of {steps} steps ({epochs} epochs): "
        f"{labels}; seeds {', '.join(map(str, seeds))}"
    )


def _span(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _refuse(seeds: Sequence[int], compile: str, **counts: int | None) -> None:
    refuse_mode(compile)
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds must be at least one, each once; got {list(seeds)}.")
    for name, count in counts.items():
        if count is not None and count < 1:
            raise ValueError(f"{name} must be at least 1; got {count}.")
    epochs, steps = counts["epochs"], counts["steps"]
    if epochs is not None and steps is not None:
        raise ValueError(f"epochs or steps must be given, not both; got {epochs} and {steps}.")


def _refuse_folder(folder: Path) -> None:
    """Refuse before hours of training what could not be written after them."""
    new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / "table.csv"
    if not probe.exists():
        write_whole(probe, "")
        probe.unlink()
    if new:
        # A comparison that is refused leaves nothing behind.
        folder.rmdir()
