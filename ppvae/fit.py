"""Training a pair on data."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import pyro
import pyro.infer
import torch
from pyro.optim import PyroOptim
from torch import Tensor

from ppvae.capture import Shared
from ppvae.check import Report, check
from ppvae.data import Data
from ppvae.diagnose import NotFiniteError
from ppvae.estimators import Estimator
from ppvae.experiment import Experiment
from ppvae.explain import explained
from ppvae.fitting import make_room, refuse_untreatable
from ppvae.generators import generators_put_back
from ppvae.keeper import Keeper, read_checkpoint
from ppvae.optimizer import Optim
from ppvae.pair import Pair
from ppvae.prepare import (
    Plan,
    as_data,
    chosen_experiment,
    first_rows,
    on_threads,
    resolve_device,
    resumed_settings,
    settings_of,
    with_own_estimator,
)
from ppvae.progress import EpochProgress
from ppvae.run import SETTINGS, Run, history_dataset
from ppvae.scope import Program
from ppvae.settings import Settings
from ppvae.suits import refuse_labels, refuse_outside
from ppvae.svi import SVI
from ppvae.training import Training, Watch

__all__ = ["fit"]


def fit(
    experiment: Experiment | Pair | tuple[Program, Program],
    data: Data | Tensor | Mapping[str, Tensor],
    *,
    estimator: pyro.infer.ELBO | None = None,
    epochs: int | None = None,
    steps: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    optim: Optim | None = None,
    clip_norm: float | None = None,
    patience: int | None = None,
    seed: int = 0,
    device: str = "auto",
    threads: int | None = None,
    compile: str | Shared = "auto",
    folder: str | Path | None = None,
    resume: bool = False,
    progress: bool = True,
    watch: Watch | None = None,
    watch_every: int = 1,
) -> Run:
    """Train a pair, and return it with the history of its bounds.

    The pair's parameters are moved in place. Global random generators are left as they were.
    A run in a folder can be killed at any moment: resumed, it ends with the same numbers.

    Args:
        experiment: an experiment, or a pair, or (model, guide).
        data: loaded data; or x, (N, P), or fields by name, which are split 80/10/10.
        estimator: what to optimise and report, of which the run has a copy of its own, with what
            it learns; the experiment's own unless given.
        epochs: passes over the training rows.
        steps: instead of epochs, how many steps in all.
        batch_size: rows in a step.
        lr: learning rate of Adam.
        optim: instead of Adam, a ``pyro.optim`` object or a callable from parameters to a torch
            optimizer.
        clip_norm: the largest norm that the gradient of a step may have.
        patience: stop after so many epochs without a better validation bound, and return the
            parameters of the best one.
        seed: of the order of rows, binarisation and all draws.
        device: "auto" (a GPU if there is one), "cpu", "cuda" or "cuda:1".
        threads: of torch on the CPU; small networks run best on one, on a busy machine above all.
        compile: how a step is computed. "off": Pyro's Python each time. "replay": the operations
            that it did, without the Python, bit for bit the same numbers. "inductor": these
            compiled from step 4 on, the same up to rounding. "auto": the one that pays for a run
            of this length and shape. What cannot be captured runs as Python, with a warning. Runs
            of one experiment that are given the same ``ppvae.capture.Shared`` capture once.
        folder: where to keep settings, checkpoint and curves.
        resume: go on with the run in the folder, to more epochs or steps if given. A schedule
            over a fraction of the run keeps the length that it began with, and so does the step
            from which it is compiled.
        progress: whether to show epochs as they end.
        watch: called with the pair at the end of epochs, off the clock; its figures join the
            history.
        watch_every: in how many epochs.

    Returns:
        The run.

    Raises:
        ValueError: a setting, the data or the pair breaks a rule; nothing was trained.
        NotFiniteError: training met NaN or infinity; the message names the site, and the last
            good state is kept.
        OSError: the folder cannot be written to.
    """
    if epochs is not None and steps is not None:
        raise ValueError(f"epochs or steps must be given, not both; got {epochs} and {steps}.")
    chosen = chosen_experiment(experiment, estimator, epochs, lr, batch_size, clip_norm)
    home, where = None if folder is None else Path(folder), resolve_device(device)
    shared = compile if isinstance(compile, Shared) else Shared(compile)
    plan = Plan(
        *(optim, steps, patience, seed, where, threads, shared),
        *(home, resume, watch, watch_every),
    )
    plan.refuse(chosen)
    return _run(chosen, as_data(data), plan, progress)


def _run(chosen: Experiment, data: Data, plan: Plan, progress: bool) -> Run:
    pair = Pair(chosen.model, chosen.guide)
    pair.to(plan.device)
    pair.train(True)
    dtype = next((leaf.dtype for leaf in pair.leaves.values()), torch.get_default_dtype())
    rows = data.to(plan.device, dtype)
    chosen = with_own_estimator(chosen, pair, plan.device)
    with generators_put_back(), on_threads(plan):
        report = _checked(pair, rows, chosen.batch_size, plan.seed)
        settings = settings_of(chosen, rows, plan)
        if plan.resume and plan.home is not None:
            settings = resumed_settings(Settings.read(plan.home / SETTINGS), settings)
        training = Training(
            _svi(pair, chosen, plan),
            rows,
            batch_size=chosen.batch_size,
            steps=plan.total_steps(chosen, rows),
            seed=plan.seed,
            patience=plan.patience,
            full_size=report.full_size,
            labelled=chosen.labelled_per_batch,
            watch=plan.watch,
            watch_every=plan.watch_every,
        )
        if isinstance(chosen.estimator, Estimator):
            chosen.estimator.begin(training.steps)
        refuse_labels(chosen.estimator, pair, rows, chosen.batch_size)
        make_room(chosen.estimator, pair, rows, chosen.batch_size)
        refuse_untreatable(chosen.estimator, pair, rows, chosen.batch_size)
        _train(training, settings, plan.home, plan.resume, chosen, progress)
    how = {"compile": settings.compile, "compiled_from": training.compiled_from}
    history = history_dataset(training.history, seed=plan.seed, binarize=rows.binarize, **how)
    stopped = "early" if training.stopped_early else "finished"
    return Run(pair, rows, chosen, settings, history, plan.home, stopped)


def _checked(pair: Pair, rows: Data, batch_size: int, seed: int) -> Report:
    # Named params are drawn when the pair first runs, and not from the stream of its training.
    pyro.set_rng_seed(2**32 - 1 - seed)
    # Fewer than all training rows, so that a plate of fixed size shows.
    few = min(batch_size, max(1, rows.num_train - 1))
    report = check(pair.model, pair.guide, first_rows(rows, few))
    report.raise_if_wrong()
    if report.support is not None:
        refuse_outside(rows, report.support)
    for remark in report.remarks:
        warnings.warn(remark, stacklevel=4)
    return report


def _svi(pair: Pair, chosen: Experiment, plan: Plan) -> SVI:
    return SVI(
        pair.model,
        pair.guide,
        plan.optim or PyroOptim(torch.optim.Adam, {"lr": chosen.lr}),
        chosen.estimator,
        clip_norm=chosen.clip_norm,
        compile=plan.compile,
    )


def _train(
    training: Training,
    settings: Settings,
    home: Path | None,
    resume: bool,
    experiment: Experiment,
    progress: bool,
) -> None:
    checkpoint = read_checkpoint(home, settings) if resume and home is not None else None
    if checkpoint is not None:
        if checkpoint.values["step"] > training.steps:
            raise ValueError(
                f"a resume must ask for no fewer steps than were taken, "
                f"{checkpoint.values['step']}; got {training.steps}."
            )
        training.restore(checkpoint)
    recipe = experiment.recipe
    keeper = Keeper(training, settings, home, recipe.source_text if recipe else None)
    title = f"{recipe.name if recipe else 'pair'}, {settings.estimator}"
    keeper.keep(now=True)
    try:
        with EpochProgress(title, training.epochs, progress) as shown:
            for record in training.run():
                if record is None:
                    keeper.keep(within_epoch=True)
                    continue
                epoch = len(training.history) - 1
                keeper.curve(epoch, record)
                shown.show(epoch, record)
                keeper.keep()
        keeper.keep(now=True)
        training.keep_best()
    except (NotFiniteError, ValueError, RuntimeError) as error:
        kept = "in the pair" if home is None else f"in {home}"
        found = explained(training, keeper.last, error, kept) if keeper.last else None
        if found is not None:
            raise found from error
        raise
    finally:
        keeper.close()
