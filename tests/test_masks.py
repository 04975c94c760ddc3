"""Values left out of rows: which, when, and what a data set says of them."""

import dataclasses
import json

import pytest
import torch

from ppvae.data import Source, from_arrays, load, with_missing
from ppvae.data.masks import block, drawn_anew, missing_named, pixels, quadrants, strokes


def uniform(*shape):
    return torch.rand(shape)


def test_pixels_are_left_out_by_themselves():
    # 5 standard errors: a false alarm in 2 million runs, for each of the two.
    hidden = ~pixels(uniform, 400, (5, 5), fraction=0.3)
    share = hidden.double().mean()
    assert abs(share - 0.3) < 5 * (0.21 / hidden.numel()) ** 0.5
    both = (hidden[:, 0, 0] & hidden[:, 0, 1]).double().mean()
    assert abs(both - 0.09) < 5 * (0.09 * 0.91 / 400) ** 0.5


def test_a_block_is_one_square_and_comes_everywhere():
    hidden = ~block(uniform, 2000, (4, 5), side=2)
    assert (hidden.sum((1, 2)) == 4).all()
    corners = {tuple(h.nonzero()[0].tolist()) for h in hidden}
    assert corners == {(row, column) for row in range(3) for column in range(4)}
    for each in hidden[:20]:
        (top, left), (bottom, right) = each.nonzero()[0], each.nonzero()[-1]
        assert (bottom - top, right - left) == (1, 1)


def test_a_stroke_joins_its_ends_without_a_gap():
    def ends(*shape):
        return torch.tensor([0.05, 0.05, 0.95, 0.95]).reshape(1, 1, 2, 2)

    hidden = ~strokes(ends, 1, (8, 8), number=1)[0]
    assert hidden.diagonal().all() and not hidden[0, 7] and not hidden[7, 0]
    wider = ~strokes(ends, 1, (8, 8), number=1, width=4.0)[0]
    assert (wider | ~hidden).all() and wider.sum() > hidden.sum()


def test_more_strokes_hide_more():
    few, many = (~strokes(uniform, 200, (8, 8), number=n) for n in (1, 5))
    assert 0 < few.double().mean() < many.double().mean() < 1


@pytest.mark.parametrize(
    ("observed", "shown"),
    [
        (1, [[0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0]]),
        (2, [[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0]]),
        (3, [[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 0, 0]]),
    ],
)
def test_quadrants_are_those_of_the_tutorial(observed, shown):
    masks = quadrants(uniform, 3, (4, 4), observed=observed)
    assert torch.equal(masks, torch.tensor(shown).bool().expand(3, 4, 4))


def test_a_pixel_is_hidden_in_all_of_its_channels():
    data = from_arrays({"x": torch.rand(20, 3, 4, 4)}, missing="pixels:0.5")
    mask = data.train["mask"].reshape(-1, 3, 4, 4)
    assert torch.equal(mask[:, 0], mask[:, 1]) and torch.equal(mask[:, 0], mask[:, 2])


def test_incomplete_data_are_0_in_their_holes_and_the_same_each_time():
    data, again = (load("digits", missing="block:3", masks="once") for _ in range(2))
    assert data.fingerprint == again.fingerprint != load("digits").fingerprint
    for split, fields in data.splits.items():
        assert (fields["x"][~fields["mask"]] == 0).all()
        whole = load("digits").splits[split]["x"]
        assert torch.equal(data.complete(split), whole)
        assert torch.equal(fields["x"], whole * fields["mask"])
    assert torch.equal(data.epoch(0, 1)["mask"], data.epoch(5, 2)["mask"])


def test_no_epoch_shows_what_incomplete_data_hide():
    data = load("digits", binarize="dynamic", missing="pixels:0.5")
    first, second = data.epoch(0, 0), data.epoch(1, 0)
    assert (first["x"][~first["mask"]] == 0).all() and (second["x"][~second["mask"]] == 0).all()
    assert not torch.equal(first["x"], second["x"])


def test_masks_drawn_anew_are_a_function_of_seed_and_epoch_and_x_stays_whole():
    data = load("digits", binarize="none", missing="strokes:2", masks="anew")
    masks = {(e, s): data.epoch(e, s)["mask"] for e in (0, 1) for s in (0, 1)}
    assert torch.equal(masks[0, 0], data.epoch(0, 0)["mask"])
    assert len({mask.numpy().tobytes() for mask in masks.values()}) == 4
    whole = load("digits", binarize="none")
    assert torch.equal(data.epoch(0, 0)["x"], whole.train["x"])
    assert torch.equal(data.test["x"], data.complete("test"))
    assert torch.equal(data.test["mask"], load("digits", missing="strokes:2").test["mask"])
    assert torch.equal(data.mean, whole.mean)


def test_the_mean_of_incomplete_data_is_that_of_what_is_observed():
    x = torch.arange(40.0).reshape(10, 4)
    data = from_arrays({"x": x}, missing="pixels:0.4")
    fields = data.train
    by_hand = [fields["x"][fields["mask"][:, i], i].mean() for i in range(4)]
    torch.testing.assert_close(data.mean, torch.stack(by_hand))


def test_one_s_own_incomplete_data_have_no_known_whole():
    x = torch.rand(20, 4)
    assert from_arrays({"x": x, "mask": x > 0.5}).complete("train") is None
    assert from_arrays({"x": x}).complete("train") is not None


def test_the_source_with_its_holes_goes_through_json():
    data = load("digits", missing="quadrants:2", masks="anew")
    again = load(Source(**json.loads(json.dumps(dataclasses.asdict(data.source)))))
    assert again.source == data.source and again.fingerprint == data.fingerprint


@pytest.mark.parametrize(
    ("masks", "words"),
    [("once", "not observed"), ("anew", r"hidden by masks drawn anew each epoch \(quadrants:1\)")],
)
def test_describe_says_what_is_hidden(masks, words):
    data = load("digits", missing="quadrants:1", masks=masks)
    assert data.describe().endswith(f"75.0% of training values {words.replace(chr(92), '')}")


def test_masks_follow_the_data_to_their_dtype_and_stay_boolean():
    moved = load("digits", missing="block:2").to("cpu", torch.float64)
    assert moved.test["mask"].dtype == torch.bool
    assert moved.complete("test").dtype == torch.float64


def test_breast_cancer_data_are_standardised():
    data = load("breast_cancer")
    x = torch.cat([fields["x"] for fields in data.splits.values()]).double()
    assert x.shape == (569, 30) and data.train["y"].unique().tolist() == [0, 1]
    torch.testing.assert_close(x.mean(0), torch.zeros(30), atol=1e-5, rtol=0)
    torch.testing.assert_close(x.std(0, correction=0), torch.ones(30), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "name",
    [
        *("pixels", "pixels:0", "pixels:1", "pixels:x", "pixels:0.2:3", "block:0", "block:1.5"),
        *(
            "strokes:-1",
            "strokes:2:0",
            "strokes:2:inf",
            "quadrants:4",
            "quadrants:0",
            "holes:3",
            "",
        ),
    ],
)
def test_an_unknown_form_of_missing_is_refused(name):
    with pytest.raises(ValueError, match=r"missing must be pixels:FRACTION, block:SIDE, .*; got "):
        missing_named(name)


@pytest.mark.parametrize("name", ["quadrants:1", "block:2", "strokes:1"])
def test_rows_that_are_no_images_lose_single_values_alone(name):
    with pytest.raises(ValueError, match=r"missing must be pixels:FRACTION where .* got \w+\."):
        from_arrays({"x": torch.rand(20, 4)}, missing=name)


def test_a_block_larger_than_the_image_is_refused():
    with pytest.raises(ValueError, match="block must fit an image of 8x8; got side 9"):
        load("digits", missing="block:9")


def test_data_with_a_mask_of_their_own_lose_no_more():
    x = torch.rand(20, 4)
    with pytest.raises(ValueError, match="missing must be left out where data have a mask"):
        from_arrays({"x": x, "mask": x > 0.5}, missing="pixels:0.5")


def test_masks_that_are_neither_once_nor_anew_are_refused():
    with pytest.raises(ValueError, match="masks must be once or anew; got 'often'"):
        load("digits", missing="block:2", masks="often")
    with pytest.raises(ValueError, match="masks must be once where missing is not given; got 'an"):
        with_missing(load("digits"), None, "anew")


def test_a_mask_drawn_anew_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    x = torch.rand(3, 4, generator=torch.Generator().manual_seed(0))
    drawn_anew(missing_named("pixels:0.5"), x, None, seed=0, epoch=0)
    assert torch.equal(torch.get_rng_state(), before)
