"""Laws of the embedded data: Old Faithful, the wines, the two photographs."""

import pytest
import torch
from sklearn.datasets import load_sample_images, load_wine

from ppvae.data import all_rows, load


def test_old_faithful_has_its_272_rows_each_once():
    data = load("faithful")
    assert [len(f["x"]) for f in data.splits.values()] == [218, 27, 27]
    x = all_rows(data)["x"].double().round(decimals=3)
    assert x.shape == (272, 2) and data.image_shape is None and data.binarize == "none"
    # Of R: the means of eruptions and waiting, and the first row of the file.
    assert x.mean(0).tolist() == pytest.approx([3.487783, 70.897059], abs=1e-6)
    assert [3.6, 79.0] in x.tolist() and (x[:, 1] == x[:, 1].round()).all()


def test_wines_are_those_of_scikit_learn_each_once():
    data = load("wine")
    assert [len(f["x"]) for f in data.splits.values()] == [144, 17, 17]
    fields = all_rows(data)
    x, y = load_wine(return_X_y=True)
    theirs = [[*row, label] for row, label in zip(x.astype("float32").tolist(), y, strict=True)]
    ours = [[*row, y] for row, y in zip(fields["x"].tolist(), fields["y"].tolist(), strict=True)]
    assert sorted(ours) == sorted(theirs)


def test_all_rows_are_those_of_the_three_splits_in_the_order_of_their_index():
    fields = all_rows(load("wine"))
    assert torch.equal(fields["index"], torch.arange(178))
    assert {name: len(values) for name, values in fields.items()} == dict.fromkeys(fields, 178)
    assert torch.equal(fields["x"][:144], load("wine").train["x"])


def test_crops_are_those_of_the_photographs_and_of_columns_of_their_own():
    data = load("photographs")
    assert data.image_shape == (3, 32, 32)
    assert [len(fields["x"]) for fields in data.splits.values()] == [5300, 150, 350]
    china = torch.tensor(load_sample_images().images[0]).permute(2, 0, 1) / 255
    crops = {split: fields["x"].reshape(-1, 3, 32, 32) for split, fields in data.splits.items()}
    # The second crop lies one stride to the right of the first, in each split.
    for split, (left, stride) in {"train": (0, 8), "valid": (448, 16), "test": (512, 16)}.items():
        expected = china[:, :32, left + stride : left + stride + 32].float()
        assert torch.equal(crops[split][1], expected)
    columns = {"train": range(448), "valid": range(448, 512), "test": range(512, 640)}
    for split, of in columns.items():
        last = of[-1] - 31
        assert any(
            torch.equal(crop, china[:, :32, last : last + 32].float()) for crop in crops[split]
        )
