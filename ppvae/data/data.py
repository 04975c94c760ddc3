"""A data set: rows by split, with what is known of them."""

import hashlib
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from ppvae.data.binarize import HELD_OUT_SEED, binarized
from ppvae.data.fields import SPLITS, Fields
from ppvae.data.masks import drawn_anew, missing_named
from ppvae.data.source import Source
from ppvae.data.streams import stream

__all__ = ["Data"]

_BINARIZED = {
    "dynamic": f"binarised anew each epoch (held-out rows once, seed {HELD_OUT_SEED})",
    "once": f"binarised once (seed {HELD_OUT_SEED})",
    "none": "not binarised",
    "fixed": "in the fixed binarisation of Larochelle & Murray",
}
_SPLIT_WORDS = {"train": "train", "valid": "validation", "test": "test"}
_CHANNELS = {1: "grey", 3: "colour"}


@dataclass(frozen=True, eq=False)
class Data:
    """Training, validation and test rows as tensors on one device.

    Args:
        source: what was loaded, with the choice of binarisation made.
        train, valid, test: the fields "x" (N, P) float32, "index" (N,) int64, the row's number
            over the three splits in this order, and where there are any "y" (N,) int64, -1 where
            not observed, and "mask" (N, P) bool, true where x is observed (x is 0 elsewhere).
            Binarised data hold the one fixed draw here; `epoch` draws training rows anew. Where
            masks are drawn anew too, x stays whole, and programs that ask for the mask heed it.
        image_shape: (C, H, W) with C * H * W = P, or None where rows are no images.
        grey: for binarised data the grey values of each split, (N, P); empty otherwise.
        notes: what was done or left out while loading, in words.
        whole: of rows whose values were left out here, x before that, (N, P), for scores alone.
    """

    source: Source
    train: Fields
    valid: Fields
    test: Fields
    image_shape: tuple[int, int, int] | None = None
    grey: Fields = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    whole: Fields = field(default_factory=dict)

    @property
    def splits(self) -> dict[str, Fields]:
        """The fields of "train", "valid" and "test"."""
        return {"train": self.train, "valid": self.valid, "test": self.test}

    @property
    def name(self) -> str:
        """The built-in name, or the last part of the path."""
        return Path(self.source.name).name

    @property
    def binarize(self) -> str:
        """Whether x is binarised: "dynamic", "once", "none" or "fixed"."""
        return str(self.source.binarize)

    @property
    def data_dim(self) -> int:
        """P, the number of values in a row."""
        return self.train["x"].shape[1]

    @property
    def num_rows(self) -> int:
        """The number of rows in the three splits."""
        return sum(len(fields["x"]) for fields in self.splits.values())

    @property
    def num_train(self) -> int:
        """The number of training rows."""
        return len(self.train["x"])

    @cached_property
    def is_binary(self) -> bool:
        """Whether each x that programs see is 0 or 1."""
        return all(bool(((f["x"] == 0) | (f["x"] == 1)).all()) for f in self.splits.values())

    @cached_property
    def mean(self) -> Tensor:
        """Mean of each value over the training rows that observe it (grey, if grey is known), (P,).

        A value that no row observes has mean 0.
        """
        x = self.grey.get("train", self.train["x"])
        mask = self.train.get("mask")
        if mask is None or self.source.masks == "anew":
            return x.mean(0)
        return x.sum(0) / mask.sum(0).clamp(min=1)

    @cached_property
    def fingerprint(self) -> str:
        """Sha256 in hex of names, shapes and values of all fields, grey values before any draw.

        Values count as float32, in which they were loaded, so that it survives :meth:`to`.
        """
        digest = hashlib.sha256(f"{self.image_shape}".encode())
        for split in SPLITS:
            fields = self.splits[split]
            for name in sorted(fields):
                values = self.grey.get(split, fields[name]) if name == "x" else fields[name]
                values = values.float() if values.is_floating_point() else values
                digest.update(f"{split} {name} {values.dtype} {tuple(values.shape)}".encode())
                digest.update(values.cpu().contiguous().numpy().data)
        return digest.hexdigest()

    def to(self, device: str | torch.device, dtype: torch.dtype | None = None) -> "Data":
        """The same data with all tensors on the device, x in another floating dtype if given."""
        train, valid, test, grey, whole = (
            {
                name: values.to(device, dtype if values.is_floating_point() else None)
                for name, values in fields.items()
            }
            for fields in (self.train, self.valid, self.test, self.grey, self.whole)
        )
        return replace(self, train=train, valid=valid, test=test, grey=grey, whole=whole)

    def epoch(self, epoch: int, seed: int) -> Fields:
        """The training fields of one epoch, with x (under "dynamic") or masks ("anew") drawn anew.

        A pure function of (seed, epoch) on one kind of device, in the stored order of rows.
        """
        fields = dict(self.train)
        if self.binarize == "dynamic":
            grey = self.grey["train"]
            generator = stream("binarize", seed=seed, epoch=epoch, device=grey.device)
            fields["x"] = binarized(grey, generator)
        if self.source.missing is not None and self.source.masks == "anew":
            draw = missing_named(self.source.missing)
            fields["mask"] = drawn_anew(draw, fields["x"], self.image_shape, seed=seed, epoch=epoch)
        return fields

    def complete(self, split: str) -> Tensor | None:
        """The rows x of a split before values were left out, (N, P); None where that is unknown."""
        if self.whole:
            return self.whole[split]
        known = self.source.missing is not None or "mask" not in self.splits[split]
        return self.splits[split]["x"] if known else None

    def describe(self) -> str:
        """One sentence: rows, what a row is, the binarisation, and what was done while loading."""
        sizes = (f"{len(self.splits[split]['x'])} {word}" for split, word in _SPLIT_WORDS.items())
        labels = " with labels" if "y" in self.train else ""
        text = f"{self.name}: {', '.join(sizes)} rows of {self._row()}{labels}"
        notes = [f"{text}, {_BINARIZED[self.binarize]}", *self.notes]
        if "mask" in self.train:
            hidden = 1 - self.train["mask"].double().mean().item()
            how = "not observed"
            if self.source.masks == "anew":
                how = f"hidden by masks drawn anew each epoch ({self.source.missing})"
            notes.append(f"{hidden:.1%} of training values {how}")
        return "; ".join(notes)

    def _row(self) -> str:
        if self.image_shape is None:
            return f"{self.data_dim} value{'s' if self.data_dim > 1 else ''}"
        channels, height, width = self.image_shape
        kind = "binary" if self.binarize == "fixed" else _CHANNELS.get(channels)
        size = f"{height}x{width}"
        return f"{size} {kind} pixels" if kind else f"{channels} channels of {size} pixels"
