"""Laws of binarisation, on the digits."""

import numpy as np
import pytest
import torch

from ppvae.data import from_arrays, load

EPOCHS = 400


@pytest.fixture(scope="module")
def digits():
    return load("digits")


def residuals(data, epoch, seed):
    """Draw minus its mean over its standard deviation, where that is not 0, flat."""
    grey = data.grey["train"].double()
    variance = grey * (1 - grey)
    random = variance > 0
    x = data.epoch(epoch, seed)["x"].double()
    return (x - grey)[random] / variance[random].sqrt()


@pytest.mark.parametrize("axis", [0, 1], ids=["each pixel", "each row"])
def test_mean_of_the_draws_is_the_grey_value(digits, axis):
    grey = digits.grey["train"].double()
    total = sum(digits.epoch(epoch, seed=0)["x"].double() for epoch in range(EPOCHS))
    error = (total / EPOCHS - grey).sum(axis)
    standard_error = ((grey * (1 - grey)).sum(axis) / EPOCHS).sqrt()
    assert (error.abs() <= 5 * standard_error).all()


@pytest.mark.parametrize(("epoch", "seed"), [(2, 0), (1, 1), (0, 1)])
def test_draws_of_other_epochs_and_seeds_are_independent(digits, epoch, seed):
    product = residuals(digits, 1, 0) * residuals(digits, epoch, seed)
    assert product.mean().abs() < 5 * product.std() / len(product) ** 0.5


def test_equal_seed_and_epoch_give_the_same_draw(digits):
    again = load("digits").epoch(3, seed=7)
    for name, values in digits.epoch(3, seed=7).items():
        assert torch.equal(values, again[name])


def test_only_x_of_an_epoch_is_drawn_and_rows_stay_in_place(digits):
    fields = digits.epoch(3, seed=7)
    assert fields.keys() == {"x", "y", "index"}
    assert fields["y"] is digits.train["y"] and fields["index"] is digits.train["index"]
    black, white = digits.grey["train"] == 0, digits.grey["train"] == 1
    assert not fields["x"][black].any() and fields["x"][white].all()


def test_global_random_states_stay_untouched():
    before, numpy_before = torch.random.get_rng_state(), np.random.get_state()[1].copy()
    load("digits").epoch(1, seed=0)
    assert torch.equal(before, torch.random.get_rng_state())
    assert (numpy_before == np.random.get_state()[1]).all()


def test_held_out_rows_are_drawn_once_and_equally_in_both_modes(digits):
    once = load("digits", binarize="once")
    for split in ("train", "valid", "test"):
        assert torch.equal(digits.splits[split]["x"], once.splits[split]["x"])


def test_held_out_draw_is_that_of_every_machine_and_version(digits):
    ones = {split: int(fields["x"].sum()) for split, fields in digits.splits.items()}
    assert ones == {"train": 25347, "valid": 3901, "test": 5874}


def test_held_out_draw_has_the_grey_mean(digits):
    for split, grey in digits.grey.items():
        grey = grey.double()
        error = digits.splits[split]["x"].double().sum() - grey.sum()
        assert error.abs() < 5 * (grey * (1 - grey)).sum().sqrt()


def test_once_gives_every_epoch_the_same_x():
    data = load("digits", binarize="once")
    assert data.epoch(1, seed=0)["x"] is data.epoch(2, seed=5)["x"] is data.train["x"]


def test_none_keeps_the_grey_values(digits):
    data = load("digits", binarize="none")
    assert torch.equal(data.epoch(1, seed=0)["x"], digits.grey["train"])
    assert not data.grey


@pytest.mark.parametrize(("mode", "binary"), [("dynamic", True), ("once", True), ("none", False)])
def test_is_binary_says_whether_programs_see_zeros_and_ones(mode, binary):
    assert load("digits", binarize=mode).is_binary is binary


def test_mean_is_that_of_the_grey_training_rows(digits):
    grey = load("digits", binarize="none").train["x"].double()
    torch.testing.assert_close(digits.mean.double(), grey.mean(0), rtol=0, atol=1e-6)


def test_large_data_are_drawn_as_one_stream():
    """Rows beyond the first chunk are no repetition of it."""
    x = from_arrays({"x": np.full((20000, 3), 0.5)}, binarize="once").train["x"]
    assert abs((x[:4096] == x[4096:8192]).double().mean() - 0.5) < 5 * 0.5 / (3 * 4096) ** 0.5


@pytest.mark.parametrize("mode", ["dynamic", "once"])
def test_values_outside_the_unit_interval_are_not_binarised(mode):
    with pytest.raises(ValueError, match=r"x must lie in \[0, 1\] to be binarised; got values"):
        from_arrays({"x": np.linspace(-0.1, 1.0, 20).reshape(10, 2)}, binarize=mode)


@pytest.mark.parametrize("mode", ["fixed", "dynamc", ""])
def test_unknown_mode_is_refused(mode):
    rule = "binarize must be 'dynamic' or 'once' or 'none' for digits; got"
    with pytest.raises(ValueError, match=rule):
        load("digits", binarize=mode)


def test_fixed_binarisation_admits_no_other_mode(tmp_path):
    rule = "binarize must be 'fixed' for binarized_mnist; got 'dynamic'"
    with pytest.raises(ValueError, match=rule):
        load("binarized_mnist", binarize="dynamic", data_dir=tmp_path)
