"""Training a pair on data."""

from __future__ import annotations

import contextlib
import platform
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import pyro
import pyro.infer
import torch
from pyro.optim import PyroOptim
from torch import Tensor

from ppvae.check import check
from ppvae.data import Data, from_arrays
from ppvae.diagnose import NotFiniteError
from ppvae.experiment import Experiment
from ppvae.generators import generators_put_back
from ppvae.keeper import Keeper, read_checkpoint, refuse_folder
from ppvae.named import name_of
from ppvae.optimizer import Optim
from ppvae.pair import Pair
from ppvae.progress import EpochProgress
from ppvae.run import SETTINGS, Run, history_dataset
from ppvae.scope import Program
from ppvae.settings import Settings
from ppvae.svi import SVI
from ppvae.training import Training, Watch

__all__ = ["fit", "resolve_device"]


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
        estimator: what to optimise and report; the experiment's own unless given.
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
        folder: where to keep settings, checkpoint and curves.
        resume: go on with the run in the folder, to more epochs or steps if given.
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
    chosen = _chosen(experiment, estimator, epochs, lr, batch_size, clip_norm)
    _refuse(chosen, steps, patience, seed, watch_every)
    where = resolve_device(device)
    home = None if folder is None else Path(folder)
    if resume and home is None:
        raise ValueError("folder must be given to resume a run; got None.")
    if home is not None:
        refuse_folder(home, resume)
    pair = Pair(chosen.model, chosen.guide)
    pair.to(where)
    rows = _as_data(data)
    dtype = next((t.dtype for t in pair.leaves.values()), torch.get_default_dtype())
    rows = rows.to(where, dtype)
    with generators_put_back(), _threads(home if resume else None):
        report = check(pair.model, pair.guide, _first_rows(rows, chosen.batch_size))
        report.raise_if_wrong()
        for remark in report.remarks:
            warnings.warn(remark, stacklevel=2)
        settings = _settings(chosen, rows, steps, patience, seed, where, optim)
        if resume and home is not None:
            settings = _resumed(Settings.read(home / SETTINGS), settings)
        svi = SVI(
            pair.model,
            pair.guide,
            optim or PyroOptim(torch.optim.Adam, {"lr": chosen.lr}),
            chosen.estimator,
            clip_norm=chosen.clip_norm,
        )
        per_epoch = -(-rows.num_train // chosen.batch_size)
        training = Training(
            svi,
            rows,
            batch_size=chosen.batch_size,
            steps=steps or chosen.epochs * per_epoch,
            seed=seed,
            patience=patience,
            full_size=report.full_size,
            watch=watch,
            watch_every=watch_every,
        )
        _train(training, settings, home, resume, chosen, progress)
    return Run(
        pair=pair,
        data=rows,
        experiment=chosen,
        settings=settings,
        history=history_dataset(training.history, seed=seed, binarize=rows.binarize),
        folder=home,
        stopped="early" if training.stopped_early else "finished",
    )


def resolve_device(name: str) -> torch.device:
    """The device of a name; "auto" is a GPU if there is one.

    Raises:
        ValueError: no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f"device must be auto, cpu or a GPU of this machine; got {name!r}."
        ) from error
    return device


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
        _explain(training, keeper, home, error)
        raise
    finally:
        keeper.close()


def _explain(training: Training, keeper: Keeper, home: Path | None, error: Exception) -> None:
    """Step on from the last good state to the bad step, to name what went bad there."""
    if keeper.last is None:
        return
    training.restore(keeper.last)
    found = training.explain()
    training.restore(keeper.last)
    kept = f"The state after step {training.step} is kept"
    kept += f" in {home}." if home is not None else " in the pair."
    if found is not None:
        raise NotFiniteError(f"{found} {kept}") from error
    if isinstance(error, NotFiniteError):
        raise NotFiniteError(f"{error}, and not again when these steps were repeated. {kept}")


def _chosen(experiment: Any, *overrides: Any) -> Experiment:
    names = ("estimator", "epochs", "lr", "batch_size", "clip_norm")
    if isinstance(experiment, tuple) and len(experiment) == 2:
        experiment = Pair(*experiment)
    if isinstance(experiment, Pair):
        experiment = Experiment(experiment.model, experiment.guide)
    if not isinstance(experiment, Experiment):
        raise TypeError(
            "experiment must be an Experiment, a Pair or (model, guide); "
            f"got {type(experiment).__name__}."
        )
    given = {n: v for n, v in zip(names, overrides, strict=True) if v is not None}
    return replace(experiment, **given)


def _refuse(
    chosen: Experiment, steps: int | None, patience: int | None, seed: int, watch_every: int
) -> None:
    counts = {
        "epochs": chosen.epochs,
        "steps": steps,
        "batch_size": chosen.batch_size,
        "patience": patience,
        "watch_every": watch_every,
    }
    for name, count in counts.items():
        if count is not None and count < 1:
            raise ValueError(f"{name} must be at least 1; got {count}.")
    for name, size in {"lr": chosen.lr, "clip_norm": chosen.clip_norm}.items():
        if size is not None and not 0 < size < float("inf"):
            raise ValueError(f"{name} must be positive and finite; got {size}.")
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed must be between 0 and 2**32 - 1; got {seed}.")


def _as_data(data: Data | Tensor | Mapping[str, Tensor]) -> Data:
    if isinstance(data, Data):
        return data
    return from_arrays({"x": data} if isinstance(data, Tensor) else data)


def _first_rows(data: Data, batch_size: int) -> dict[str, Tensor]:
    fields = data.epoch(0, 0)
    return {name: values[:batch_size] for name, values in fields.items()}


def _settings(
    chosen: Experiment,
    data: Data,
    steps: int | None,
    patience: int | None,
    seed: int,
    device: torch.device,
    optim: Optim | None,
) -> Settings:
    recipe = chosen.recipe
    return Settings(
        experiment=recipe.name if recipe else None,
        experiment_path=recipe.path if recipe else None,
        experiment_sha256=recipe.sha256 if recipe else None,
        options=dict(recipe.options) if recipe else {},
        data=asdict(data.source),
        data_fingerprint=data.fingerprint,
        estimator=name_of(chosen.estimator),
        epochs=chosen.epochs,
        steps=steps,
        batch_size=chosen.batch_size,
        lr=chosen.lr,
        optimizer=f"Adam(lr={chosen.lr:g})" if optim is None else _words(optim),
        clip_norm=chosen.clip_norm,
        patience=patience,
        seed=seed,
        device=device.type,
        threads=torch.get_num_threads(),
        versions={
            "python": platform.python_version(),
            "torch": torch.__version__,
            "pyro": pyro.__version__,
        },
    )


def _words(optim: Optim) -> str:
    if isinstance(optim, PyroOptim):
        return f"{type(optim).__name__}({optim.pt_optim_args})"
    if isinstance(optim, partial):
        return f"{optim.func.__name__}({optim.keywords})"
    return getattr(optim, "__name__", type(optim).__name__)


def _resumed(kept: Settings, asked: Settings) -> Settings:
    difference = kept.difference(asked)
    if difference is not None:
        raise ValueError(f"a resume must keep the settings of the run; got {difference}.")
    return replace(kept, epochs=asked.epochs, steps=asked.steps)


@contextlib.contextmanager
def _threads(home: Path | None) -> Iterator[None]:
    """On as many threads as a run to be resumed began with: another number rounds differently."""
    before = torch.get_num_threads()
    if home is not None:
        torch.set_num_threads(Settings.read(home / SETTINGS).threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
