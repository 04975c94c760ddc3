"""The whole state of a training in one file of tensors; nothing in it is executed."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from ppvae.atomic import write_whole

__all__ = ["Checkpoint", "columns", "optimizer_state", "restore_optimizer"]

_FORMAT = 2


@dataclass(frozen=True)
class Checkpoint:
    """Tensors by name and plain values by name, as they were at one moment.

    Attributes:
        tensors: copies on the CPU; names are ``group/name``.
        values: numbers, texts and lists that JSON can hold.
    """

    tensors: Mapping[str, Tensor]
    values: Mapping[str, Any]

    def group(self, name: str) -> dict[str, Tensor]:
        """The tensors of one group by the rest of their name."""
        prefix = f"{name}/"
        return {
            key.removeprefix(prefix): tensor
            for key, tensor in self.tensors.items()
            if key.startswith(prefix)
        }

    @property
    def history(self) -> list[dict[str, float]]:
        """The records of epochs."""
        kept = self.group("history")
        length = len(next(iter(kept.values()), ()))
        return [{name: float(column[i]) for name, column in kept.items()} for i in range(length)]

    def save(self, path: Path) -> None:
        """Write the file whole or not at all.

        Raises:
            OSError: it cannot be written.
        """
        values = json.dumps({"format": _FORMAT, **self.values})
        metadata = {"values": values, "sha256": _digest(self.tensors, values)}
        tensors = {name: tensor.contiguous() for name, tensor in self.tensors.items()}
        write_whole(path, safetensors.torch.save(tensors, metadata))

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Read a file that :meth:`save` wrote.

        Raises:
            ValueError: the file is not whole, or not as it was written.
            OSError: it cannot be read.
        """
        try:
            content = path.read_bytes()
            tensors = safetensors.torch.load(content)
            metadata = _metadata(content)
            values = json.loads(metadata["values"])
        except (SafetensorError, KeyError, ValueError) as error:
            raise ValueError(f"checkpoint must be whole; got {path}: {error}.") from error
        if metadata.get("sha256") != _digest(tensors, metadata["values"]):
            raise ValueError(
                f"checkpoint must be as it was written; the content of {path} does not match "
                "its checksum."
            )
        if values.pop("format") != _FORMAT:
            raise ValueError(f"checkpoint must have format {_FORMAT}; {path} has another.")
        return cls(tensors, values)


def columns(records: Sequence[Mapping[str, float]]) -> dict[str, Tensor]:
    """The records of epochs as a tensor for each name; NaN where a record has none of it."""
    return {
        name: torch.tensor([each.get(name, math.nan) for each in records], dtype=torch.float64)
        for name in dict.fromkeys(key for record in records for key in record)
    }


def optimizer_state(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The state of an optimizer as tensors ``parameter/key`` and plain values."""
    state = optimizer.state_dict()
    tensors: dict[str, Tensor] = {}
    plain: dict[str, dict[str, Any]] = {}
    for number, entries in state["state"].items():
        for key, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"{number}/{key}"] = value.detach().cpu().clone()
            else:
                plain.setdefault(str(number), {})[key] = value
    return tensors, {"plain": plain, "param_groups": state["param_groups"]}


def restore_optimizer(
    optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], values: Mapping[str, Any]
) -> None:
    """Put an optimizer into the state that :func:`optimizer_state` gave."""
    state: dict[int, dict[str, Any]] = {
        int(number): dict(entries) for number, entries in values["plain"].items()
    }
    for name, tensor in tensors.items():
        number, _, key = name.partition("/")
        state.setdefault(int(number), {})[key] = tensor.clone()
    optimizer.load_state_dict({"state": state, "param_groups": values["param_groups"]})


def _metadata(content: bytes) -> dict[str, str]:
    # A safetensors file begins with the length of its JSON header, 8 bytes, little-endian.
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    metadata: dict[str, str] = header["__metadata__"]
    return metadata


def _digest(tensors: Mapping[str, Tensor], values: str) -> str:
    digest = hashlib.sha256(values.encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
