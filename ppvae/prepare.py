"""What has to be settled before a training: its experiment, data, device and settings."""

from __future__ import annotations

import contextlib
import copy
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyro
import torch
from pyro.optim.lr_scheduler import PyroLRScheduler
from torch import Tensor, nn

from ppvae.capture import Shared
from ppvae.data import Batching, Data, from_arrays
from ppvae.experiment import Experiment
from ppvae.keeper import refuse_folder
from ppvae.named import name_of
from ppvae.optimizer import Optim, in_words
from ppvae.pair import Pair
from ppvae.run import SETTINGS
from ppvae.settings import Settings
from ppvae.threads import cpu_threads
from ppvae.training import Watch

__all__ = [
    "Plan",
    "as_data",
    "chosen_experiment",
    "first_rows",
    "on_threads",
    "refuse_mode",
    "resolve_device",
    "resumed_settings",
    "settings_of",
    "with_own_estimator",
]


def resolve_device(name: str) -> torch.device:
    """The device of a name; "auto" is a GPU if there is one.

    Raises:
        ValueError: no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device).cpu()
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f"device must be auto, cpu or a GPU of this machine; got {name!r}."
        ) from error
    return device


def chosen_experiment(experiment: Any, *overrides: Any) -> Experiment:
    """The experiment, or one made of a pair, with what was given in place of its own settings."""
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


def with_own_estimator(experiment: Experiment, pair: Pair, device: torch.device) -> Experiment:
    """The experiment with a copy of its estimator on a device, for one run alone.

    What an estimator learns, a schedule's step for one, does not reach the next run of it. Parts
    that it shares with the pair stay shared.
    """
    shared: dict[int, Any] = {id(leaf): leaf for leaf in pair.leaves.values()}
    for module in pair.modules.values():
        shared |= {id(part): part for part in module.modules()}
    estimator = copy.deepcopy(experiment.estimator, shared)
    if isinstance(estimator, nn.Module):
        estimator.to(device)
    return replace(experiment, estimator=estimator)


@dataclass(frozen=True)
class Plan:
    """How a training goes, beside what its experiment says; the names are those of ``fit``."""

    optim: Optim | None
    steps: int | None
    patience: int | None
    seed: int
    device: torch.device
    threads: int | None
    compile: Shared
    home: Path | None
    resume: bool
    watch: Watch | None
    watch_every: int

    def refuse(self, chosen: Experiment) -> None:
        """Refuse what makes no training, before anything is done.

        Raises:
            ValueError: a count below 1, a size that is not positive and finite, or a folder that
                holds no run to resume, or holds one where a new one is to begin.
            TypeError: an optimizer with a schedule.
        """
        counts = {
            "epochs": chosen.epochs,
            "steps": self.steps,
            "batch_size": chosen.batch_size,
            "patience": self.patience,
            "watch_every": self.watch_every,
            "threads": self.threads,
        }
        for name, count in counts.items():
            if count is not None and count < 1:
                raise ValueError(f"{name} must be at least 1; got {count}.")
        for name, size in {"lr": chosen.lr, "clip_norm": chosen.clip_norm}.items():
            if size is not None and not 0 < size < float("inf"):
                raise ValueError(f"{name} must be positive and finite; got {size}.")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed must be between 0 and 2**32 - 1; got {self.seed}.")
        if isinstance(self.optim, PyroLRScheduler):
            name = getattr(self.optim.pt_scheduler_constructor, "__name__", "a schedule")
            raise TypeError(f"optim must be without a schedule, which nothing steps; got {name}.")
        if self.resume and self.home is None:
            raise ValueError("folder must be given to resume a run; got None.")
        if self.home is not None:
            refuse_folder(self.home, self.resume)

    def total_steps(self, chosen: Experiment, data: Data) -> int:
        """How many steps there are in all."""
        batching = Batching(data.train, chosen.batch_size, chosen.labelled_per_batch)
        return self.steps or chosen.epochs * batching.steps


def refuse_mode(compile: str) -> None:
    """Refuse a way to compute steps that there is not, before work starts.

    Raises:
        ValueError: it is none of the four.
    """
    Shared(compile)


def as_data(data: Data | Tensor | Mapping[str, Tensor]) -> Data:
    """Loaded data as they are; x or fields by name split into training and held-out rows."""
    if isinstance(data, Data):
        return data
    return from_arrays({"x": data} if isinstance(data, Tensor) else data)


def first_rows(data: Data, batch_size: int) -> dict[str, Tensor]:
    """The first rows of the first epoch, as many as a batch has."""
    fields = data.epoch(0, 0)
    return {name: values[:batch_size] for name, values in fields.items()}


def settings_of(chosen: Experiment, data: Data, plan: Plan) -> Settings:
    """All that decides the numbers of a run."""
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
        steps=plan.steps,
        batch_size=chosen.batch_size,
        lr=chosen.lr,
        optimizer=f"Adam(lr={chosen.lr:g})" if plan.optim is None else in_words(plan.optim),
        clip_norm=chosen.clip_norm,
        patience=plan.patience,
        seed=plan.seed,
        device=plan.device.type,
        threads=torch.get_num_threads(),
        compile=plan.compile.mode,
        versions={
            "python": platform.python_version(),
            "torch": torch.__version__,
            "pyro": pyro.__version__,
        },
        labelled_per_batch=chosen.labelled_per_batch,
    )


def resumed_settings(kept: Settings, asked: Settings) -> Settings:
    """The settings of a run that goes on, as long as is asked now.

    Raises:
        ValueError: something else is asked for than the run began with.
    """
    difference = kept.difference(asked)
    if difference is not None:
        raise ValueError(f"a resume must keep the settings of the run; got {difference}.")
    return replace(kept, epochs=asked.epochs, steps=asked.steps)


def on_threads(plan: Plan) -> contextlib.AbstractContextManager[None]:
    """On the CPU threads of a plan, or on as many as the run to be resumed began with.

    Another number of threads rounds differently.
    """
    if plan.resume and plan.home is not None:
        return cpu_threads(Settings.read(plan.home / SETTINGS).threads)
    return cpu_threads(plan.threads)
