"""What `ppvae fit` says at the end."""

from __future__ import annotations

from pathlib import Path

from ppvae.cli.pictures import write_pictures
from ppvae.cli.sentences import one_line
from ppvae.evaluate import evaluate, summary
from ppvae.run import Run

__all__ = ["summarize"]


def summarize(run: Run, folder: Path, num_particles: int, data_dir: str | None) -> None:
    """Print how good a run is, write its pictures, and print where everything is.

    Args:
        run: what was trained.
        folder: where it is kept.
        num_particles: K, draws per test row for log p(x).
        data_dir: where its data were found, if that had to be said.
    """
    print(f"\n{_training(run)}")
    print(_evaluated(run, num_particles), flush=True)
    written, left_out = write_pictures(run, folder)
    print(f"\nkept in   {folder} (settings, checkpoint, TensorBoard curves)")
    print(f"pictures  {', '.join(path.name for path in written)}")
    for reason in left_out:
        print(f"no {reason}")
    found = f" --data-dir {data_dir}" if data_dir else ""
    print(f"go on     ppvae fit --resume {folder} {_twice(run)}{found}")
    print(f"judge     ppvae evaluate {folder}{found}")


def _evaluated(run: Run, num_particles: int) -> str:
    """How good a run is on its test rows; or why nothing can be said per datum."""
    try:
        return summary(evaluate(run, num_particles=num_particles))
    except ValueError as error:
        # The pair is trained all the same; ``ppvae evaluate`` refuses it.
        return f"no evaluation ({one_line(error).rstrip('.')})"


def _twice(run: Run) -> str:
    epochs, steps = run.settings.epochs, run.settings.steps
    return f"--steps {2 * steps}" if steps else f"--epochs {2 * epochs}"


def _training(run: Run) -> str:
    last = run.history.isel(epoch=-1)
    steps, seconds = int(last["step"]), float(last["seconds"])
    early = ", stopped early: the best epoch is kept" if run.stopped == "early" else ""
    note = f"\nnote: {run.note}" if run.note else ""
    bound = float(run.history["valid_bound"].max() if early else last["valid_bound"])
    return (
        f"{run.settings.experiment}, {run.settings.estimator}, seed {run.seed}: {steps} steps in "
        f"{seconds:.1f} s of training ({1e3 * seconds / max(steps, 1):.2f} ms each){early}\n"
        f"{'validation bound':<17}{bound:10.3f} nats per datum, the estimator's own{note}"
    )
