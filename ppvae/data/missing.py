"""Values left out of complete data: once, so that they are incomplete, or anew in each epoch."""

from dataclasses import replace

import torch

from ppvae.data.data import Data
from ppvae.data.fields import SPLITS
from ppvae.data.masks import drawn_once, missing_named

__all__ = ["MASKS", "with_missing"]

MASKS = ("once", "anew")


def with_missing(data: Data, missing: str | None, masks: str = "once") -> Data:
    """The data with a mask of what is observed in each row.

    Args:
        data: complete data on the CPU.
        missing: how values go missing, as `ppvae.data.masks.missing_named` has it; None leaves the
            data as they are.
        masks: "once": data that are really incomplete, with 0 where nothing is observed; what
            was there is kept in `Data.whole`, for scores alone. "anew": x stays whole, and each
            epoch has masks of its own for the training rows; held-out rows keep one.

    Raises:
        ValueError: an unknown form, masks of another kind, a mask in the data already, or a
            form for images where rows are none.
    """
    if masks not in MASKS:
        raise ValueError(f"masks must be once or anew; got {masks!r}.")
    if missing is None:
        if masks != "once":
            raise ValueError(f"masks must be once where missing is not given; got {masks!r}.")
        return data
    if "mask" in data.train:
        raise ValueError(
            f"missing must be left out where data have a mask of their own; got {missing!r}."
        )
    splits = data.splits
    whole = {split: splits[split]["x"] for split in SPLITS}
    drawn = drawn_once(missing_named(missing), whole, data.image_shape)
    fields = {split: splits[split] | {"mask": drawn[split]} for split in SPLITS}
    grey, kept = data.grey, {}
    if masks == "once":
        kept = whole
        grey = {split: torch.where(drawn[split], values, 0.0) for split, values in grey.items()}
        for split, x in whole.items():
            fields[split]["x"] = torch.where(drawn[split], x, 0.0)
    source = replace(data.source, missing=missing, masks=masks)
    train, valid, test = (fields[split] for split in SPLITS)
    return replace(data, source=source, train=train, valid=valid, test=test, grey=grey, whole=kept)
