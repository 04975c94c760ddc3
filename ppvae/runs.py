"""Finding a run again: loaded to look at it, or resumed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ppvae.data import Data, load
from ppvae.experiment import Experiment, Recipe, build, find_recipe
from ppvae.fit import fit
from ppvae.fitting import make_room
from ppvae.generators import generators_put_back
from ppvae.keeper import read_checkpoint, refuse_folder
from ppvae.named import estimator_named, name_of
from ppvae.pair import Pair
from ppvae.prepare import resolve_device
from ppvae.run import SETTINGS, Run, history_dataset
from ppvae.settings import Settings
from ppvae.state import live_tensors, put_state
from ppvae.svi import SVI
from ppvae.tracing import rehearse

__all__ = ["load_run", "resume"]


def load_run(
    folder: str | Path,
    *,
    experiment: str | None = None,
    data_dir: str | Path | None = None,
    device: str = "auto",
) -> Run:
    """The run kept in a folder, with its pair rebuilt and its parameters in place.

    The pair is made by importing the experiment that the run recorded; nothing else in the folder
    is executed.

    Args:
        folder: of the run.
        experiment: the experiment by name or file, named again because its file has changed or
            moved since.
        data_dir: folder of the built-in data sets' files.
        device: where pair and data go.

    Raises:
        ValueError: the folder holds no whole run, or experiment or data have changed since.
    """
    home = Path(folder)
    refuse_folder(home, resume=True)
    where = resolve_device(device)
    settings = Settings.read(home / SETTINGS)
    checkpoint = read_checkpoint(home, settings)
    if checkpoint is None:
        raise ValueError(f"run must have a checkpoint to be loaded; {home} has none.")
    rebuilt = _rebuilt(settings, experiment, data_dir)
    pair = Pair(rebuilt.experiment.model, rebuilt.experiment.guide)
    pair.to(where)
    dtype = next((leaf.dtype for leaf in pair.leaves.values()), torch.get_default_dtype())
    data = rebuilt.data.to(where, dtype)
    first = {name: values[: settings.batch_size] for name, values in data.train.items()}
    with pair.entered(), generators_put_back():
        rehearse(pair, ((), first))
    svi = SVI(pair.model, pair.guide, torch.optim.Adam, rebuilt.experiment.estimator)
    make_room(svi.loss, pair, data, settings.batch_size)
    put_state(live_tensors(svi), checkpoint.group("best") or checkpoint.group("state"))
    pair.train(False)
    how = {"compile": settings.compile, "compiled_from": checkpoint.values["compiled_from"]}
    return Run(
        pair=pair,
        data=data,
        experiment=rebuilt.experiment,
        settings=settings,
        history=history_dataset(
            checkpoint.history, seed=settings.seed, binarize=data.binarize, **how
        ),
        folder=home,
        stopped="early" if checkpoint.values["early"] else "finished",
    )


def resume(
    folder: str | Path,
    *,
    epochs: int | None = None,
    steps: int | None = None,
    experiment: str | None = None,
    data_dir: str | Path | None = None,
    device: str = "auto",
    progress: bool = True,
) -> Run:
    """Go on with the run kept in a folder, to its end or to more epochs or steps.

    Args:
        folder: of the run.
        epochs: passes over the training rows in all, counted from the beginning.
        steps: instead of epochs, steps in all.
        experiment: as in :func:`load_run`.
        data_dir: as in :func:`load_run`.
        device: of the kind that the run began on.
        progress: whether to show epochs as they end.

    Raises:
        ValueError: as in :func:`load_run` and :func:`ppvae.fit`.
    """
    home = Path(folder)
    refuse_folder(home, resume=True)
    settings = Settings.read(home / SETTINGS)
    rebuilt = _rebuilt(settings, experiment, data_dir)
    return fit(
        rebuilt.experiment,
        rebuilt.data,
        epochs=epochs,
        steps=steps if steps or epochs else settings.steps,
        patience=settings.patience,
        seed=settings.seed,
        device=settings.device if device == "auto" else device,
        compile=settings.compile,
        folder=home,
        resume=True,
        progress=progress,
    )


@dataclass(frozen=True)
class _Rebuilt:
    experiment: Experiment
    data: Data


def _rebuilt(settings: Settings, named: str | None, data_dir: str | Path | None) -> _Rebuilt:
    recipe = _recipe(settings, named)
    data = load(settings.source, data_dir=data_dir)
    if data.fingerprint != settings.data_fingerprint:
        raise ValueError(
            f"data must be those of the run; {data.name} has other values than when it began."
        )
    made = build(recipe, data, seed=settings.seed, **settings.options)
    estimator = made.estimator
    if name_of(estimator) != settings.estimator:
        estimator = estimator_named(settings.estimator)
    experiment = replace(
        made,
        estimator=estimator,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        clip_norm=settings.clip_norm,
        lr=settings.lr,
    )
    return _Rebuilt(experiment, data)


def _recipe(settings: Settings, named: str | None) -> Recipe:
    if settings.experiment is None:
        raise ValueError(
            "run must come from an experiment to be rebuilt; this one was made from a pair in "
            "Python (resume it with ppvae.fit(pair, data, folder=..., resume=True))."
        )
    if named is not None:
        recipe = find_recipe(named)
        if recipe.name != settings.experiment:
            raise ValueError(
                f"run must be of experiment '{settings.experiment}'; got '{recipe.name}'."
            )
        return replace(recipe, sha256=settings.experiment_sha256 or "")
    path = settings.experiment_path
    again = "name it again to use it as it is now (--experiment)"
    if path is not None and not Path(path).is_file():
        raise ValueError(f"experiment file must be where it was, {path}; it is gone: {again}.")
    recipe = find_recipe(f"{path}:{settings.experiment}" if path else settings.experiment)
    if recipe.sha256 != settings.experiment_sha256:
        what = path or f"experiment '{recipe.name}'"
        raise ValueError(f"{what} must be as when the run began; it has changed: {again}.")
    return recipe
