"""One's own arrays: what is read and what is refused."""

import numpy as np
import pytest
import torch

from ppvae.data import from_arrays, load

X = np.arange(60, dtype=np.float64).reshape(20, 3)


def write(path, arrays):
    if path.suffix == ".pt":
        torch.save({name: torch.from_numpy(array) for name, array in arrays.items()}, path)
    elif path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        np.save(path, arrays["x"])
    return path


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".pt"])
def test_each_row_of_a_file_lies_in_one_split(tmp_path, suffix):
    data = load(write(tmp_path / f"own{suffix}", {"x": X}))
    assert [len(f["x"]) for f in data.splits.values()] == [16, 2, 2]
    rows = torch.cat([f["x"] for f in data.splits.values()])
    assert sorted(rows.tolist()) == X.tolist() and rows.tolist() != X.tolist()
    assert data.image_shape is None and data.binarize == "none"


def test_a_single_tensor_is_x(tmp_path):
    torch.save(torch.tensor(X), tmp_path / "own.pt")
    assert load(tmp_path / "own.pt").fingerprint == from_arrays({"x": X}).fingerprint


def test_fields_stay_with_their_rows(tmp_path):
    mask = X % 2 == 0
    path = write(tmp_path / "own.npz", {"x": X, "y": np.arange(20), "mask": mask})
    for fields in load(path).splits.values():
        y = fields["y"]
        assert torch.equal(fields["mask"], torch.tensor(mask)[y])
        assert torch.equal(fields["x"], torch.tensor(X * mask, dtype=torch.float32)[y])


@pytest.mark.parametrize("style", ["{}", "x_{}", "{}_x"])
def test_named_splits_are_kept_in_order(tmp_path, style):
    arrays = {style.format(s): X[r] for s, r in zip(SPLITS, SLICES, strict=True)}
    arrays |= {f"y_{s}": np.arange(20)[r] for s, r in zip(SPLITS, SLICES, strict=True)}
    data = load(write(tmp_path / "own.npz", arrays))
    for fields, rows in zip(data.splits.values(), SLICES, strict=True):
        assert fields["x"].tolist() == X[rows].tolist() and fields["y"][0] == rows.start


SPLITS, SLICES = ("train", "val", "test"), (slice(0, 10), slice(10, 14), slice(14, 20))


def test_without_validation_rows_a_tenth_of_the_training_rows_validates(tmp_path):
    data = load(write(tmp_path / "own.npz", {"x_train": X, "x_test": X[:5]}))
    assert [len(f["x"]) for f in data.splits.values()] == [18, 2, 5]
    rows = torch.cat([data.train["x"], data.valid["x"]])
    assert sorted(rows.tolist()) == X.tolist() and data.test["x"].tolist() == X[:5].tolist()
    assert "validation rows are a fixed tenth of the file's training rows" in data.describe()


def test_bytes_are_divided_by_255_and_the_description_says_so():
    data = from_arrays({"x": np.arange(0, 250, 5, dtype=np.uint8).reshape(10, 5)})
    assert torch.cat([f["x"] for f in data.splits.values()]).max() == np.float32(245 / 255)
    assert data.describe().endswith("not binarised; uint8 values divided by 255")


def test_bytes_that_are_bits_are_kept_and_the_description_says_so():
    data = from_arrays({"x": np.eye(10, dtype=np.uint8)})
    assert data.train["x"].max() == 1 and data.is_binary
    assert data.describe().endswith("uint8 zeros and ones kept")


@pytest.mark.parametrize(
    ("shape", "image_shape", "words"),
    [
        ((10, 4, 5), (1, 4, 5), "4x5 grey pixels"),
        ((10, 3, 4, 5), (3, 4, 5), "4x5 colour pixels"),
        ((10, 2, 4, 5), (2, 4, 5), "2 channels of 4x5 pixels"),
        ((10, 7), None, "7 values"),
    ],
)
def test_images_are_flattened_and_keep_their_shape(shape, image_shape, words):
    x = torch.rand(shape)
    data = from_arrays({"x": x, "y": torch.arange(10)})
    assert data.image_shape == image_shape and words in data.describe()
    assert torch.equal(data.train["x"], x.float().reshape(10, -1)[data.train["y"]])


def test_hidden_values_are_zero_even_where_they_were_nan():
    x, mask = X.copy(), np.ones(X.shape, dtype=bool)
    x[3], mask[3] = np.nan, False
    data = from_arrays({"x": x, "mask": mask})
    hidden = ~torch.cat([f["mask"] for f in data.splits.values()])
    assert hidden.sum() == 3
    assert not torch.cat([f["x"] for f in data.splits.values()])[hidden].any()


def test_mean_is_over_observed_values():
    x, mask = np.full((10, 2), 4.0), np.ones((10, 2), dtype=bool)
    mask[:9, 0] = False
    mask[:, 1] = np.arange(10) % 2 == 0
    data = from_arrays({k: v for s in ("train", "test") for k, v in ((s, x), (f"mask_{s}", mask))})
    assert data.train["mask"][:, 0].sum() == 1 and data.mean.tolist() == [4.0, 4.0]
    assert data.describe().endswith("77.8% of training values not observed") is False


def test_describe_says_how_much_is_hidden():
    data = from_arrays({"x": np.ones((10, 2)), "mask": np.ones((10, 2)) * [1, 0] > 0})
    assert data.describe().endswith("not binarised; 50.0% of training values not observed")


def test_the_callers_tensor_is_copied():
    x = torch.zeros(10, 2, dtype=torch.float32)
    data = from_arrays({"train": x, "valid": x, "test": x})
    x += 1
    assert not data.train["x"].any()


def test_source_keeps_the_absolute_path(tmp_path, monkeypatch):
    write(tmp_path / "own.npy", {"x": X})
    monkeypatch.chdir(tmp_path)
    data = load("own.npy")
    assert data.source.name == str(tmp_path / "own.npy") and data.name == "own.npy"


NAN, INF = X.copy(), X.copy()
NAN[[7, 9], 1], INF[4, 2] = np.nan, 1e300
REFUSED = {
    "nan": ({"x": NAN}, "x in .*own.npz must be finite where no mask hides it; got nan in row 7"),
    "overflow": ({"x": INF}, "must be finite where no mask hides it; got inf in row 4"),
    "nan in a split": ({"train": X, "test": NAN}, "x in test of .*own.npz must be finite.* row 7"),
    "empty": ({"x": X[:0]}, r"none of them 0; got shape \(0, 3\)"),
    "empty bytes": ({"x": np.zeros((0, 3), np.uint8)}, r"none of them 0; got shape \(0, 3\)"),
    "number": ({"x": np.float32(3)}, r"must be \(N, P\), .*; got shape \(\)"),
    "vector": ({"x": X[:, 0]}, r"must be \(N, P\), .*; got shape \(20,\)"),
    "channels last": ({"x": np.zeros((9, 8, 8, 3))}, r"channels before height .* \(9, 8, 8, 3\)"),
    "two rows": ({"x": X[:2]}, "must have at least 3 rows; got 2"),
    "one row": ({"train": X[:1], "test": X}, "must have at least 2 rows; got 1"),
    "no x": ({"images": X}, r"must be named x \(y, mask\) or .*; got \['images'\]"),
    "a stray name": ({"x": X, "labels": X}, r"must be named x .*; got \['labels', 'x'\]"),
    "no train": ({"test": X}, r"must be named x .*; got \['test'\]"),
    "twice": ({"train": X, "x_train": X, "test": X}, "splits in .* must agree in names"),
    "widths": ({"train": X, "test": X[:, :2]}, r"must agree in .*test torch.float32 \(20, 2\)"),
    "dtypes": ({"train": X, "test": X.astype(np.uint8)}, "must agree in names, dtype"),
    "labels in one": ({"train": X, "test": X, "y_test": np.arange(20)}, "must agree in names"),
    "label count": ({"x": X, "y": np.arange(19)}, r"one label a row, \(20,\); got shape \(19,\)"),
    "label below": ({"x": X, "y": np.full(20, -2)}, "must be at least -1, .*; got -2"),
    "mask shape": ({"x": X, "mask": X[:, :2] > 0}, r"shape of x, \(20, 3\); got \(20, 2\)"),
}


@pytest.mark.parametrize(("arrays", "message"), REFUSED.values(), ids=REFUSED)
def test_values_that_break_a_rule_are_refused(tmp_path, arrays, message):
    with pytest.raises(ValueError, match=message):
        load(write(tmp_path / "own.npz", arrays))


KINDS = {
    "text": ({"x": np.array([["a"]])}, "x in .* must be an array of real numbers; got <U1"),
    "complex": ({"x": X * 1j}, "must be an array of real numbers; got complex128"),
    "labels": ({"x": X, "y": X[:, 0]}, "y in .* must hold whole numbers; got torch.float32"),
    "mask": ({"x": X, "mask": X}, "mask in .* must be true or false; got torch.float32"),
}


@pytest.mark.parametrize(("arrays", "message"), KINDS.values(), ids=KINDS)
def test_other_kinds_of_values_are_refused(tmp_path, arrays, message):
    with pytest.raises(TypeError, match=message):
        load(write(tmp_path / "own.npz", arrays))


def test_sparse_tensors_are_refused(tmp_path):
    with pytest.raises(TypeError, match="must be a dense array of real numbers; got"):
        from_arrays({"x": torch.eye(4).to_sparse()})


def test_image_options_are_refused_for_arrays(tmp_path):
    with pytest.raises(ValueError, match="unless data is an image folder; got image_size 8 with"):
        load(write(tmp_path / "own.npy", {"x": X}), image_size=8)
