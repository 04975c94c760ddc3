"""The picture of holes and what they are filled with."""

import numpy as np
import pytest
import torch
import xarray

from ppvae import plot

ROWS, P = 3, 16


@pytest.fixture
def found():
    draws = np.random.default_rng(0).random((ROWS, 5, P))
    return xarray.Dataset(
        {"x_mean": (("row", "pixel"), draws.mean(1)), "x": (("row", "sample", "pixel"), draws)}
    )


def picture_of(figure):
    return np.asarray(figure.axes[0].images[0].get_array())


def test_each_row_shows_original_hole_mean_and_five_fillings(found):
    mask, original = torch.arange(ROWS * P).reshape(ROWS, P) % 2 == 0, np.zeros((ROWS, P))
    figure = plot.fillings(found, mask, (1, 4, 4), original=original)
    titles = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    assert titles == ["original", "observed", "mean", *["draw"] * 5]
    # Four pixels and a gap a tile.
    tile = picture_of(figure)[5:9, 5:9].reshape(P, 3)
    holes = ~mask[1].numpy()
    assert (tile[holes] == tile[holes][0]).all() and tile[holes][0].std() > 0.1
    np.testing.assert_allclose(tile[~holes], found["x_mean"].values[1][~holes, None].repeat(3, 1))
    mean = picture_of(figure)[5:9, 10:14].reshape(P, 3)
    np.testing.assert_allclose(mean, found["x_mean"].values[1][:, None].repeat(3, 1))


def test_where_nobody_knows_the_original_there_is_none(found):
    figure = plot.fillings(found, torch.ones(ROWS, P).bool(), (1, 4, 4))
    titles = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    assert titles == ["observed", "mean", *["draw"] * 5]


def test_colours_and_rows_that_are_no_images_are_drawn_too(found):
    mask = np.ones((ROWS, P), dtype=bool)
    mask[0, :4] = False
    lines = plot.fillings(found, mask, None, original=found["x_mean"].values)
    names = {text.get_text() for text in lines.axes[0].get_legend().get_texts()}
    assert names == {"draws", "mean", "original", "observed"}
    coloured = plot.fillings(found.isel(pixel=slice(12)), mask[:, :12], (3, 2, 2))
    assert picture_of(coloured).shape[-1] == 3


def test_values_beyond_grey_are_drawn_from_the_least_to_the_greatest(found):
    figure = plot.fillings(10 * found - 5, np.ones((ROWS, P), dtype=bool), (1, 4, 4))
    assert picture_of(figure).min() >= 0 and picture_of(figure).max() <= 1


def test_a_mask_of_another_shape_is_refused(found):
    with pytest.raises(ValueError, match=r"mask must have the shape of x, \(3, 16\); got \(3, 4\)"):
        plot.fillings(found, np.ones((3, 4), dtype=bool), (1, 4, 4))
