"""One's own arrays: what they may be called, and what they must be."""

import torch
from torch import Tensor

from ppvae.data.fields import SPLITS, Fields, Raw
from ppvae.data.splits import permuted_parts, tenth

__all__ = ["raw_from_arrays"]

_FIELDS = ("x", "y", "mask")
_SYNONYMS = {"validation": "valid", "val": "valid"}

# Fields by split; a file without named splits has the one table "".
_Tables = dict[str, Fields]


def raw_from_arrays(arrays: dict[str, Tensor], where: str) -> Raw:
    """Checked fields, split.

    Either one table, x with y and mask where there are any, is split 80 / 10 / 10 by a fixed
    permutation; or the splits are named, train, valid and test (or x_train, ...), with y_train,
    mask_train, ...; without valid, a fixed tenth of the training rows validates.

    Args:
        arrays: x is (N, P), (N, H, W) or (N, C, H, W), where uint8 is divided by 255 unless it
            holds 0 and 1 alone; y is (N,), whole numbers, -1 where not observed; mask has the
            shape of x and is true where x is observed.
        where: what messages call the file.

    Raises:
        ValueError: a name, shape or value breaks these rules.
        TypeError: y or mask holds another kind of numbers.
    """
    tables = _tables(arrays, where)
    x = next(iter(tables.values()))["x"]
    notes = []
    if x.dtype == torch.uint8:
        bits = all(int(fields["x"].max()) <= 1 for fields in tables.values() if fields["x"].numel())
        notes.append("uint8 zeros and ones kept" if bits else "uint8 values divided by 255")
        if not bits:
            tables = {split: _divided(fields) for split, fields in tables.items()}
    checked = {
        split: _checked(fields, f"{split} of {where}" if split else where)
        for split, fields in tables.items()
    }
    splits, note = _split(checked, where)
    return Raw(splits, _image_shape(x), (*notes, *note))


def _tables(arrays: dict[str, Tensor], where: str) -> _Tables:
    tables: _Tables = {}
    for name, array in arrays.items():
        split, field = _place(name)
        tables.setdefault(split, {})[field] = array
    complete = set(tables) in ({""}, set(SPLITS), {"train", "test"})
    if not complete or not all("x" in fields for fields in tables.values()):
        raise ValueError(
            f"arrays in {where} must be named x (y, mask) or train, valid, test (y_train, "
            f"mask_train, ...); got {sorted(arrays)}."
        )
    rows = {(*sorted(t), t["x"].dtype, tuple(t["x"].shape[1:])) for t in tables.values()}
    if sum(map(len, tables.values())) != len(arrays) or len(rows) != 1:
        found = ", ".join(f"{n} {a.dtype} {tuple(a.shape)}" for n, a in arrays.items())
        raise ValueError(
            f"splits in {where} must agree in names, dtype and shape of a row; got {found}."
        )
    return tables


def _place(name: str) -> tuple[str, str]:
    parts = [_SYNONYMS.get(part, part) for part in name.lower().split("_")]
    splits = [part for part in parts if part in SPLITS]
    fields = [part for part in parts if part in _FIELDS]
    if len(splits) > 1 or len(fields) > 1 or len(splits) + len(fields) != len(parts):
        return name, name
    return "".join(splits), "".join(fields) or "x"


def _divided(fields: Fields) -> Fields:
    return fields | {"x": fields["x"].to(torch.float32).div_(255)}


def _checked(fields: Fields, what: str) -> Fields:
    x = fields["x"]
    _require_shape(x, what)
    # A copy: the caller's own tensor must not change the data later.
    checked = {"x": x.reshape(len(x), -1).to(torch.float32, copy=True)}
    if "mask" in fields:
        checked["mask"] = _mask(fields["mask"], x, what)
        # NaN behind a mask still gives NaN gradients, so that hidden values are zero.
        checked["x"].masked_fill_(~checked["mask"], 0.0)
    if "y" in fields:
        checked["y"] = _labels(fields["y"], len(x), what)
    finite = checked["x"].isfinite()
    if not finite.all():
        row = int((~finite.all(1)).nonzero()[0])
        value = checked["x"][row][~finite[row]][0].item()
        raise ValueError(
            f"x in {what} must be finite where no mask hides it; got {value} in row {row}."
        )
    return checked


def _require_shape(x: Tensor, what: str) -> None:
    shape = tuple(x.shape)
    if x.dim() not in (2, 3, 4) or not x.numel():
        raise ValueError(
            f"x in {what} must be (N, P), (N, H, W) or (N, C, H, W), none of them 0; "
            f"got shape {shape}."
        )
    if x.dim() == 4 and shape[1] > 4 and shape[3] <= 4:
        raise ValueError(
            f"x in {what} must have its channels before height and width; got shape {shape}."
        )


def _mask(mask: Tensor, x: Tensor, what: str) -> Tensor:
    if mask.dtype not in (torch.bool, torch.uint8) or (mask > 1).any():
        raise TypeError(f"mask in {what} must be true or false; got {mask.dtype}.")
    if mask.shape != x.shape:
        raise ValueError(
            f"mask in {what} must have the shape of x, {tuple(x.shape)}; got {tuple(mask.shape)}."
        )
    return mask.reshape(len(x), -1).to(torch.bool, copy=True)


def _labels(y: Tensor, num_rows: int, what: str) -> Tensor:
    if y.is_floating_point():
        raise TypeError(f"y in {what} must hold whole numbers; got {y.dtype}.")
    if y.shape != (num_rows,):
        raise ValueError(
            f"y in {what} must hold one label a row, ({num_rows},); got shape {tuple(y.shape)}."
        )
    labels = y.to(torch.int64, copy=True)
    if labels.min() < -1:
        raise ValueError(
            f"y in {what} must be at least -1, which is not observed; got {int(labels.min())}."
        )
    return labels


def _image_shape(x: Tensor) -> tuple[int, int, int] | None:
    if x.dim() == 2:
        return None
    channels, height, width = (1, *x.shape[1:])[-3:]
    return channels, height, width


def _split(tables: _Tables, where: str) -> tuple[dict[str, Fields], tuple[str, ...]]:
    """The three splits, and in words whatever the file did not say itself."""
    table = tables.get("", tables.get("train", {}))
    num_rows = len(table["x"])
    held_out = tenth(num_rows)
    if "valid" in tables:
        return tables, ()
    if num_rows < (least := 3 if "" in tables else 2):
        raise ValueError(f"x in {where} must have at least {least} rows; got {num_rows}.")
    if "" in tables:
        parts = permuted_parts(table, num_rows - 2 * held_out, held_out, held_out)
        return dict(zip(SPLITS, parts, strict=True)), ()
    train, valid = permuted_parts(table, num_rows - held_out, held_out)
    note = "validation rows are a fixed tenth of the file's training rows"
    return {"train": train, "valid": valid, "test": tables["test"]}, (note,)
