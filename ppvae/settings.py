"""What a run was asked to do, as plain JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from ppvae.capture import MODES
from ppvae.data import Source

__all__ = ["Settings"]

# What may change from one resume to the next: how long the run goes on, where its experiment is
# (a changed file is refused elsewhere unless it is named again), and what is taken over from it.
_FREE = frozenset(
    {"epochs", "steps", "threads", "versions", "experiment_path", "experiment_sha256"}
)


@dataclass(frozen=True)
class Settings:
    """Everything that decides the numbers of a run.

    Attributes:
        experiment: the name of the experiment; None for a pair made in Python.
        experiment_path: its file; None for a built-in one.
        experiment_sha256: of its file's text.
        options: of the experiment, by name.
        data: what was loaded.
        data_fingerprint: sha256 of all its fields.
        estimator: its name.
        epochs: passes over the training data asked for.
        steps: steps asked for; None where epochs decide.
        batch_size: rows in a step.
        lr: learning rate of Adam.
        optimizer: the optimizer and its settings, in words.
        clip_norm: the largest norm of a step's gradient.
        patience: epochs without a better validation bound before the run stops.
        seed: of initial weights, order of rows, binarisation and draws.
        device: kind of device, "cpu" or "cuda".
        threads: of torch on the CPU; another number may round differently.
        compile: how steps are computed; compiled ones round differently.
        versions: of Python and the libraries that the run began with.
        labelled_per_batch: how many of the rows in a step have a label; None where all are alike.
    """

    experiment: str | None
    experiment_path: str | None
    experiment_sha256: str | None
    options: Mapping[str, Any]
    data: Mapping[str, Any]
    data_fingerprint: str
    estimator: str
    epochs: int
    steps: int | None
    batch_size: int
    lr: float
    optimizer: str
    clip_norm: float | None
    patience: int | None
    seed: int
    device: str
    threads: int
    compile: str
    versions: Mapping[str, str] = field(default_factory=dict)
    labelled_per_batch: int | None = None

    @property
    def source(self) -> Source:
        """What was loaded, as :func:`ppvae.data.load` takes it."""
        return Source(**self.data)

    @property
    def identity(self) -> str:
        """Sha256 of the settings that decide numbers: what a checkpoint belongs to."""
        deciding = {k: v for k, v in asdict(self).items() if k not in _FREE}
        return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()

    def to_json(self) -> str:
        """The settings as JSON that a person can read."""
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"

    @classmethod
    def read(cls, path: Path) -> Settings:
        """Read what :meth:`to_json` wrote.

        Raises:
            ValueError: the file holds something else.
            OSError: it cannot be read.
        """
        try:
            settings = cls(**json.loads(path.read_text(encoding="utf-8")))
            settings._refuse_odd()
        except (ValueError, TypeError) as error:
            raise ValueError(f"settings must be those of a run; got {path}: {error}.") from error
        return settings

    def _refuse_odd(self) -> None:
        for name, hint in get_type_hints(type(self)).items():
            if not isinstance(getattr(self, name), _kinds(hint)):
                raise TypeError(f"{name} is {getattr(self, name)!r}")
        if self.threads < 1:
            raise ValueError(f"threads is {self.threads}")
        if self.compile not in MODES:
            raise ValueError(f"compile is {self.compile!r}")
        Source(**self.data)

    def difference(self, other: Settings) -> str | None:
        """The first setting that decides numbers and is not the same, in words; None if none is."""
        for each in fields(self):
            mine, theirs = getattr(self, each.name), getattr(other, each.name)
            if each.name not in _FREE and mine != theirs:
                return f"{each.name} {theirs!r} instead of {mine!r}"
        return None


def _kinds(hint: Any) -> tuple[Any, ...]:
    """The types of an annotation; where a float may stand, so may a whole number."""
    each = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    kinds = tuple(get_origin(kind) or kind for kind in each)
    return (*kinds, int) if float in kinds else kinds
