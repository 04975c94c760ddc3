"""Laws of splits, row numbers, batches, fingerprints and names."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from sklearn.datasets import load_digits

from ppvae.data import NAMES, Source, batches, data_folder, from_arrays, load
from ppvae.data.registry import BUILT_IN
from ppvae.data.streams import FixedStream, stream


@pytest.fixture(scope="module")
def digits():
    return load("digits", binarize="none")


def test_digits_are_those_of_scikit_learn_each_once(digits):
    images, labels = load_digits(return_X_y=True)
    x = torch.cat([fields["x"] for fields in digits.splits.values()])
    y = torch.cat([fields["y"] for fields in digits.splits.values()])
    ours = sorted(zip((x * 16).int().tolist(), y.tolist(), strict=True))
    assert ours == sorted(zip(images.astype(int).tolist(), labels.tolist(), strict=True))


def test_digits_have_the_documented_sizes(digits):
    assert [len(f["x"]) for f in digits.splits.values()] == [1297, 200, 300]
    assert (digits.num_rows, digits.num_train, digits.data_dim) == (1797, 1297, 64)
    assert digits.image_shape == (1, 8, 8)


def test_index_counts_rows_over_train_valid_and_test(digits):
    index = torch.cat([digits.splits[split]["index"] for split in ("train", "valid", "test")])
    assert torch.equal(index, torch.arange(1797))


def test_x_is_float32_whatever_the_default(digits):
    assert torch.get_default_dtype() == torch.float64
    assert {f["x"].dtype for f in load("digits").splits.values()} == {torch.float32}
    assert digits.epoch(0, seed=0)["x"].dtype == torch.float32


def test_split_is_that_of_every_machine_and_version(digits):
    assert digits.train["y"][:10].tolist() == [9, 4, 9, 4, 3, 0, 0, 2, 5, 5]


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("batch_size", [1, 100, 1297, 5000])
def test_batches_hold_each_row_once_with_its_own_fields(digits, batch_size, shuffle):
    parts = list(batches(digits.train, batch_size, seed=0, epoch=1, shuffle=shuffle))
    assert [len(p["x"]) for p in parts[:-1]] == [batch_size] * (len(parts) - 1)
    index = torch.cat([part["index"] for part in parts])
    assert torch.equal(index.sort().values, digits.train["index"])
    for name in ("x", "y"):
        assert torch.equal(torch.cat([p[name] for p in parts]), digits.train[name][index])
    assert torch.equal(index, digits.train["index"]) is not shuffle


def order(fields, seed, epoch):
    return torch.cat([b["index"] for b in batches(fields, 100, seed=seed, epoch=epoch)])


def test_order_is_a_function_of_seed_and_epoch(digits):
    first = order(digits.train, 0, 1)
    assert torch.equal(first, order(digits.train, 0, 1))
    for seed, epoch in [(0, 2), (1, 1), (1, 0)]:
        assert not torch.equal(first, order(digits.train, seed, epoch))


def test_batches_leave_the_global_random_state_alone(digits):
    before = torch.random.get_rng_state()
    order(digits.train, 0, 1)
    assert torch.equal(before, torch.random.get_rng_state())


def test_purposes_seeds_and_epochs_share_no_stream():
    keys = [(p, s, e) for p in ("shuffle", "binarize") for s in range(30) for e in range(30)]
    cpu = torch.device("cpu")
    seeds = {stream(p, seed=s, epoch=e, device=cpu).initial_seed() % 2**32 for p, s, e in keys}
    assert len(seeds) == len(keys)


def test_fixed_stream_is_uniform():
    draws = FixedStream("test", seed=0).uniform(100_000)
    assert draws.min() >= 0 and draws.max() < 1
    assert abs(draws.mean() - 0.5) < 5 * (1 / 12 / 100_000) ** 0.5
    assert abs((draws < 0.1).mean() - 0.1) < 5 * (0.09 / 100_000) ** 0.5


@pytest.mark.parametrize("batch_size", [0, -1])
def test_batch_size_below_one_is_refused_at_the_call(digits, batch_size):
    with pytest.raises(ValueError, match=f"batch_size must be at least 1; got {batch_size}"):
        batches(digits.train, batch_size, seed=0, epoch=0)


def test_fields_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match=r"fields must have one number of rows; got \{'x': 3"):
        batches({"x": torch.zeros(3, 2), "y": torch.zeros(2)}, 1, seed=0, epoch=0)


def test_fingerprint_is_that_of_the_grey_values(digits):
    assert digits.fingerprint == load("digits").fingerprint
    assert len(digits.fingerprint) == 64


@pytest.mark.parametrize("change", ["value", "label", "row order", "shape", "no labels"])
def test_fingerprint_sees_each_change(change):
    x, y = torch.rand(20, 2, 3), torch.arange(20)
    changed = {"x": x.clone(), "y": y.clone()}
    if change == "value":
        changed["x"][3, 1, 1] += 1e-6
    elif change == "label":
        changed["y"][3] = 5
    elif change == "row order":
        changed = {name: values.flip(0) for name, values in changed.items()}
    elif change == "shape":
        changed["x"] = x.reshape(20, 3, 2)
    else:
        del changed["y"]
    assert from_arrays({"x": x, "y": y}).fingerprint != from_arrays(changed).fingerprint


def test_describe_says_rows_and_binarisation():
    assert load("digits").describe() == (
        "digits: 1297 train, 200 validation, 300 test rows of 8x8 grey pixels with labels, "
        "binarised anew each epoch (held-out rows once, seed 0)"
    )
    assert load("digits", binarize="none").describe().endswith("not binarised")
    assert load("digits", binarize="once").describe().endswith("binarised once (seed 0)")


def test_source_goes_through_json():
    data = load("digits", binarize="once")
    again = Source(**json.loads(json.dumps(dataclasses.asdict(data.source))))
    assert again == data.source == Source("digits", binarize="once")
    assert load(again).fingerprint == data.fingerprint


def test_argument_outranks_the_source():
    assert load(Source("digits", binarize="once"), binarize="none").binarize == "none"


def test_to_moves_every_tensor():
    moved = load("digits").to("meta")
    tensors = [t for f in (*moved.splits.values(), moved.grey) for t in f.values()]
    assert {t.device.type for t in tensors} == {"meta"} and len(tensors) == 12


def test_fingerprint_survives_another_dtype(digits):
    moved = digits.to("cpu", torch.float64)
    assert moved.train["x"].dtype == torch.float64 and moved.train["y"].dtype == torch.int64
    assert moved.fingerprint == digits.fingerprint


def test_data_folder_is_argument_then_environment_then_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("PPVAE_DATA", str(tmp_path))
    assert data_folder("elsewhere") == Path.cwd() / "elsewhere"
    assert data_folder() == tmp_path
    monkeypatch.delenv("PPVAE_DATA")
    assert data_folder() == Path.home() / ".cache" / "ppvae"


def test_each_name_is_listed():
    real = ["digits", "mnist", "fashion_mnist", "binarized_mnist"]
    real += ["photographs", "breast_cancer", "faithful", "wine"]
    simulated = ["gaussian_toy", "clusters", "squares", "two_classes", "layers"]
    assert list(NAMES) == list(BUILT_IN) == [*real, *simulated]


def test_unknown_name_is_refused_with_near_names():
    with pytest.raises(ValueError, match=r"got 'digit'\. Near names: digits\."):
        load("digit")


@pytest.mark.parametrize(
    "option", [{"image_size": 8}, {"image_size": 0}, {"crop": True}, {"channels": 1}]
)
def test_image_options_are_refused_for_a_built_in_set(option):
    with pytest.raises(ValueError, match="must be left out unless data is an image folder; got"):
        load("digits", **option)


def test_import_loads_no_data_library():
    code = "import sys, ppvae.data; print(*{'torchvision', 'sklearn', 'PIL'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
