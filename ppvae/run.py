"""A trained pair with all that is known of its training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyro.infer
import torch
import xarray as xr

from ppvae.data import Data
from ppvae.estimators import Estimator
from ppvae.experiment import Experiment
from ppvae.pair import Pair
from ppvae.scope import Program
from ppvae.settings import Settings

__all__ = ["CHECKPOINT", "SETTINGS", "Run", "history_dataset"]

CHECKPOINT = "checkpoint.safetensors"
SETTINGS = "settings.json"

_UNITS = {
    "step": "steps",
    "seconds": "s of training, without evaluation",
    "train_bound": "nats per datum",
    "valid_bound": "nats per datum",
    "objective": "nats per datum",
    "beta": "1",
    "capacity": "nats per datum",
    "multiplier": "1",
    "excess": "nats per datum",
}


@dataclass(frozen=True)
class Run:
    """What :func:`ppvae.fit` returns.

    Attributes:
        pair: model and guide with their trained parameters.
        data: what it was trained on.
        experiment: pair and settings as they were made.
        settings: everything that decided the numbers.
        history: by epoch (0 is before the first step): ``step``, ``seconds`` of training, the
            estimator's own bound on training and validation rows in nats per datum, and figures
            of the estimator: a beta, the objective that is followed beside that bound. Of how
            steps were computed its attributes say ``compile``, what was asked for, and
            ``compiled_from``, the first step of compiled code, or 0.
        folder: where it is kept; None if it is not.
        stopped: "finished", or "early" where the validation bound had stopped rising.
    """

    pair: Pair
    data: Data
    experiment: Experiment
    settings: Settings
    history: xr.Dataset
    folder: Path | None = None
    stopped: str = "finished"

    @property
    def model(self) -> Program:
        """p, the generative model."""
        return self.pair.model

    @property
    def guide(self) -> Program:
        """q, the guide."""
        return self.pair.guide

    @property
    def estimator(self) -> pyro.infer.ELBO:
        """What was optimised."""
        return self.experiment.estimator

    @property
    def device(self) -> torch.device:
        """Where parameters and data are."""
        return self.data.train["x"].device

    @property
    def seed(self) -> int:
        """The seed of initial weights, order of rows, binarisation and draws."""
        return self.settings.seed

    @property
    def note(self) -> str | None:
        """What has to be said of how the run ended: that a schedule has not; None if nothing."""
        return self.estimator.unfinished() if isinstance(self.estimator, Estimator) else None

    def __repr__(self) -> str:
        last = self.history.isel(epoch=-1)
        return (
            f"Run({self.settings.experiment or 'pair'} on {self.data.name}, "
            f"{self.settings.estimator}: {int(last['step'])} steps, validation bound "
            f"{float(last['valid_bound']):.2f} nats per datum, {self.stopped}"
            f"{f'; {self.note}' if self.note else ''})"
        )

    def _repr_html_(self) -> str:
        """For notebooks: one line and the history."""
        return f"<p>{self!r}</p>{self.history._repr_html_()}"


def history_dataset(records: Sequence[Mapping[str, float]], **attrs: Any) -> xr.Dataset:
    """Records of epochs as a dataset with dimension ``epoch``, each variable with its unit."""
    # A run that was stopped before its first record has columns without rows.
    always = ("step", "seconds", "train_bound", "valid_bound")
    names = dict.fromkeys(name for record in records for name in record) or always
    dataset = xr.Dataset(
        {
            name: ("epoch", np.array([record.get(name, float("nan")) for record in records]))
            for name in names
        },
        coords={"epoch": range(len(records))},
        attrs=attrs,
    )
    dataset["step"] = dataset["step"].astype(np.int64)
    for name, unit in _UNITS.items():
        if name in dataset:
            dataset[name].attrs["units"] = unit
    return dataset
