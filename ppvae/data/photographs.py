"""Crops of the two photographs that come with scikit-learn.

Source: scikit-learn's load_sample_images: china.jpg by Sigma, flower.jpg by Ivo Kruusamägi.
"""

import torch
from torch import Tensor

from ppvae.data.fields import SPLITS, Fields, Raw

__all__ = ["read_photographs"]

_SIDE = 32
# Columns of each photograph, 640 wide, by split: no crop has a pixel of another split.
_COLUMNS = {"train": (0, 448), "valid": (448, 512), "test": (512, 640)}
_STRIDE = {"train": 8, "valid": 16, "test": 16}


def read_photographs() -> Raw:
    """Colour crops, 32x32, values 0 to 255 divided by 255, of two photographs, 427 x 640.

    Training crops are from the left 448 columns of both, a crop at every eighth row and column:
    5300 rows. Validation and test crops, at every sixteenth, are from the next 64 columns and the
    last 128: 150 and 350.
    """
    from sklearn.datasets import load_sample_images

    pictures = [torch.from_numpy(image.copy()) for image in load_sample_images().images]
    splits: dict[str, Fields] = {}
    for split in SPLITS:
        start, end = _COLUMNS[split]
        parts = [_crops(each[:, start:end], _STRIDE[split]) for each in pictures]
        splits[split] = {"x": torch.cat(parts).float().div_(255)}
    return Raw(splits, (3, _SIDE, _SIDE))


def _crops(picture: Tensor, stride: int) -> Tensor:
    """All crops of a picture (H, W, 3) at every so many rows and columns, (N, 3 * 32 * 32)."""
    channels_first = picture.permute(2, 0, 1)
    crops = channels_first.unfold(1, _SIDE, stride).unfold(2, _SIDE, stride)
    return crops.permute(1, 2, 0, 3, 4).flatten(0, 1).flatten(1)
