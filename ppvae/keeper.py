"""The folder of a run: settings, checkpoint and curves, each written whole or not at all."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ppvae.atomic import write_whole
from ppvae.checkpoint import Checkpoint
from ppvae.diagnose import NotFiniteError, bad_parameter
from ppvae.run import CHECKPOINT, SETTINGS
from ppvae.settings import Settings
from ppvae.training import Training

__all__ = ["Keeper", "read_checkpoint", "refuse_folder"]

# Seconds between checkpoints at the end of epochs, and within a long epoch.
_BETWEEN_EPOCHS = 2.0
_WITHIN_EPOCH = 60.0


def refuse_folder(folder: Path, resume: bool) -> None:
    """Refuse a folder that holds a run where a new one is to begin, or none to resume.

    Raises:
        ValueError: of these two.
    """
    kept = (folder / SETTINGS).exists()
    if resume and not kept:
        raise ValueError(f"folder must hold a run to resume; {folder} has no {SETTINGS}.")
    if not resume and kept:
        raise ValueError(f"folder must be a new one, or its run be resumed; {folder} holds a run.")
    if not resume and folder.is_dir() and any(not f.name.startswith(".") for f in folder.iterdir()):
        raise ValueError(f"folder must be new or empty; {folder} holds other files.")


def read_checkpoint(folder: Path, settings: Settings) -> Checkpoint | None:
    """The checkpoint of a run; None if the run ended before its first.

    Raises:
        ValueError: it is not whole, or belongs to a run of other settings.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    checkpoint = Checkpoint.load(path)
    if checkpoint.values.get("run") != settings.identity:
        raise ValueError(
            f"checkpoint must be of the run whose {SETTINGS} lies beside it; {path} is of another."
        )
    return checkpoint


class Keeper:
    """Keeps the last good state of a training, in its folder if it has one.

    Args:
        training: what to keep.
        settings: of the run.
        folder: where; None keeps the state in memory.
        source: the text of the experiment's file, copied into the folder to read.
    """

    def __init__(
        self, training: Training, settings: Settings, folder: Path | None, source: str | None
    ) -> None:
        self._training = training
        self._settings = settings
        self._folder = folder
        self._curves: Any = None
        self.last: Checkpoint | None = None
        self._at = -math.inf
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            # The settings come first: from then on the folder holds a run that can be resumed.
            write_whole(folder / SETTINGS, settings.to_json())
            if source is not None:
                write_whole(folder / "experiment.py", source)

    def keep(self, *, now: bool = False, within_epoch: bool = False) -> None:
        """Take the state down if it is time to, or now.

        Raises:
            NotFiniteError: a parameter is not finite; the last good state stays.
            OSError: it cannot be written.
        """
        wait = _WITHIN_EPOCH if within_epoch else _BETWEEN_EPOCHS
        if not now and time.monotonic() - self._at < wait:
            return
        wrong = bad_parameter(self._training.svi.pair.leaves)
        if wrong is not None:
            raise NotFiniteError(f"{wrong} after step {self._training.step}")
        taken = self._training.take()
        values = {**taken.values, "run": self._settings.identity}
        self.last = replace(taken, values=values)
        if self._folder is not None:
            self.last.save(self._folder / CHECKPOINT)
            if self._curves is not None:
                self._curves.flush()
        self._at = time.monotonic()

    def curve(self, epoch: int, record: Mapping[str, float]) -> None:
        """Add an epoch's figures to the TensorBoard curves of the folder."""
        if self._folder is None:
            return
        if self._curves is None:
            # Takes a second to import, and only runs with a folder need it.
            from torch.utils.tensorboard import SummaryWriter

            # What an interrupted run wrote beyond its last checkpoint is not shown twice.
            self._curves = SummaryWriter(str(self._folder / "tensorboard"), purge_step=epoch)
        for name, value in record.items():
            if name != "step" and not math.isnan(value):
                self._curves.add_scalar(name, value, epoch)

    def close(self) -> None:
        """Finish the curves."""
        if self._curves is not None:
            self._curves.close()
            self._curves = None
