"""Laws of figures: what is drawn, what stands at the axes, and nothing shown or left open."""

import sys

import numpy as np
import pytest
import torch
import xarray
from matplotlib.figure import Figure

from ppvae import plot

IMAGE = (1, 4, 3)
P = 12


def drawn(figure):
    """The figure after it was laid out, which is when wrong sizes show."""
    figure.draw_without_rendering()
    return figure


def dataset(**variables):
    arrays = {name: xarray.DataArray(v, dims=d) for name, (d, v) in variables.items()}
    found = xarray.Dataset(arrays, attrs={"site": "z"})
    for name in found:
        found[name].attrs = {"how": "mean", "long_name": f"name of {name}"}
    return found


def drawn_samples():
    rows = ("row", "pixel")
    return dataset(x_mean=(rows, np.random.rand(7, P)), x=(rows, np.random.rand(7, P)))


def drawn_line():
    line = dataset(x_mean=(("row", "step", "pixel"), np.random.rand(2, 5, P)))
    return line.assign_coords(step=np.linspace(0, 1, 5))


def drawn_manifold():
    values = np.arange(9).reshape(3, 3, 1) * np.ones(P) / 8
    grid = dataset(x_mean=(("second", "first", "pixel"), values))
    return grid.assign_coords(first=[-1.0, 0.0, 1.0], second=[-1.0, 0.0, 1.0])


def drawn_map(labels):
    points = np.random.randn(len(labels), 2)
    return dataset(
        first=("row", points[:, 0]), second=("row", points[:, 1]), label=("row", np.array(labels))
    )


def drawn_history():
    columns = {
        "step": [0.0, 5.0, 10.0],
        "seconds": [0.0, 0.1, 0.2],
        "train_bound": [np.nan, -20.0, -10.0],
        "valid_bound": [-30.0, -21.0, -12.0],
    }
    return xarray.Dataset({name: ("epoch", values) for name, values in columns.items()})


def drawn_curves(names):
    steps = {name: np.tile(np.arange(8.0), (3, 1)) for name in names}
    seconds = {name: 0.1 * steps[name] for name in names}
    return steps, seconds, {name: np.random.randn(3, 8) for name in names}


FIGURES = {
    "images": lambda: plot.images(torch.rand(5, P), IMAGE),
    "images in colour": lambda: plot.images(torch.rand(5, 36), (3, 4, 3)),
    "images as lines": lambda: plot.images(torch.rand(5, P), None),
    "samples": lambda: plot.samples(drawn_samples(), IMAGE),
    "samples as lines": lambda: plot.samples(drawn_samples(), None),
    "reconstructions": lambda: plot.reconstructions(torch.rand(13, P), np.zeros((13, P)), IMAGE),
    "reconstructions as lines": lambda: plot.reconstructions(
        torch.rand(13, P), np.zeros((13, P)), None
    ),
    "interpolation": lambda: plot.interpolation(drawn_line(), IMAGE),
    "interpolation as lines": lambda: plot.interpolation(drawn_line(), None),
    "latent map": lambda: plot.latent_map(drawn_map([0, 1, -1])),
    "manifold": lambda: plot.manifold(drawn_manifold(), IMAGE),
    "history": lambda: plot.history(drawn_history()),
    "curves": lambda: plot.curves(*drawn_curves(["elbo", "iwae"])),
}


def labels(figure):
    return [(axes.get_xlabel(), axes.get_ylabel()) for axes in drawn(figure).axes]


@pytest.mark.parametrize("draw", FIGURES.values(), ids=FIGURES)
def test_a_figure_comes_back_and_no_pyplot_holds_it(draw):
    assert isinstance(drawn(draw()), Figure)
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()


def test_images_stand_in_reading_order():
    x = torch.arange(6.0).outer(torch.ones(P)) / 5
    picture = plot.images(x, IMAGE, columns=3).axes[0].images[0].get_array()
    # A line of white pixels between neighbours.
    assert picture.shape == (4 + 1 + 4, 3 + 1 + 3 + 1 + 3)
    np.testing.assert_allclose(picture[0, ::4], [0, 0.2, 0.4])
    np.testing.assert_allclose(picture[5, ::4], [0.6, 0.8, 1.0])
    assert picture.mask[4].all()


def test_an_image_is_drawn_row_by_row():
    picture = plot.images(np.arange(12.0)[None], IMAGE).axes[0].images[0].get_array()
    np.testing.assert_array_equal(picture, np.arange(12).reshape(4, 3))


def test_colours_are_the_last_axis_of_the_picture():
    x = np.concatenate([np.full(P, value) for value in (0.1, 0.5, 0.9)])[None]
    picture = plot.images(x, (3, 4, 3)).axes[0].images[0].get_array()
    np.testing.assert_allclose(picture[0, 0], [0.1, 0.5, 0.9])


def test_grey_runs_from_zero_to_one():
    assert plot.images(torch.full((1, P), 0.5), IMAGE).axes[0].images[0].get_clim() == (0, 1)


def test_values_outside_zero_to_one_get_a_bar_that_says_so():
    figure = plot.images(torch.linspace(-2, 3, P)[None], IMAGE, title="title")
    assert figure.axes[0].images[0].get_clim() == (-2, 3)
    assert labels(figure)[1] == ("", "value of x")
    assert figure.axes[0].get_title() == "title"


def test_rows_that_are_no_images_are_lines():
    figure = plot.images(torch.rand(3, 5), None)
    assert len(figure.axes[0].lines) == 3
    assert labels(figure) == [("component of x", "value")]


def test_samples_say_how_their_mean_was_got():
    found = drawn_samples()
    found["x_mean"].attrs["how"] = "average of 100 draws"
    titles = [axes.get_title() for axes in plot.samples(found, IMAGE).axes]
    assert titles[0] == "average of 100 draws of p(x|z) at codes z from the prior"
    assert titles[1] == "one draw of x at each of these codes"


def test_reconstructions_stand_below_their_data():
    axes = plot.reconstructions(torch.ones(4, P), np.zeros((4, P)), IMAGE, columns=3).axes[0]
    picture = axes.images[0].get_array()
    assert picture[::5, 0].tolist() == [1, 0, 1, 0]
    named = [tick.get_text() for tick in axes.get_yticklabels()]
    assert named == ["data", "reconstruction"] * 2


def test_an_interpolation_has_a_line_for_each_row_and_the_position_below():
    axes = plot.interpolation(drawn_line(), IMAGE).axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0", "0.25", "0.5", "0.75", "1"]
    assert axes.get_xlabel() == "position on the line from the first code to the second"
    assert len(plot.interpolation(drawn_line(), None).axes[0].lines) == 5


def test_on_a_manifold_z_rises_to_the_right_and_upwards():
    figure = plot.manifold(drawn_manifold(), IMAGE)
    axes = figure.axes[0]
    picture = axes.images[0].get_array()
    # x_mean counts along the first coordinate of z, then along the second.
    np.testing.assert_allclose(picture[::5, 0], [6 / 8, 3 / 8, 0])
    np.testing.assert_allclose(picture[-1, ::4], [0, 1 / 8, 2 / 8])
    heights = dict(
        zip([t.get_text() for t in axes.get_yticklabels()], axes.get_yticks(), strict=True)
    )
    assert heights["-1.0"] > heights["1.0"]
    assert labels(figure)[0][0].startswith("z[0] (equal steps of probability")


def test_a_map_has_a_legend_of_labels_and_of_unknown_ones():
    axes = plot.latent_map(drawn_map([2, 0, -1, 2])).axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["0", "2", "unknown"]
    assert axes.get_legend().get_title().get_text() == "label y"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("name of first", "name of second")


def test_a_map_without_labels_has_no_legend():
    figure = plot.latent_map(drawn_map([0, 1]).drop_vars("label"))
    assert figure.axes[0].get_legend() is None


def test_a_map_of_many_labels_has_a_bar():
    assert labels(plot.latent_map(drawn_map(range(30))))[1] == ("", "label y")


def test_a_history_stands_against_steps_and_seconds_in_nats():
    figure = plot.history(drawn_history())
    assert labels(figure) == [
        ("training steps", "bound, nats per datum"),
        ("training time, seconds", ""),
    ]
    assert [len(axes.lines) for axes in figure.axes] == [2, 2]


def test_curves_are_means_with_a_band_from_least_to_greatest():
    steps, seconds, values = drawn_curves(["elbo", "iwae"])
    figure = plot.curves(steps, seconds, values)
    assert labels(figure) == [
        ("training steps", "held-out log-evidence, nats per datum"),
        ("training time, seconds", ""),
    ]
    line, band = figure.axes[0].lines[1], figure.axes[0].collections[1]
    np.testing.assert_allclose(line.get_ydata(), values["iwae"].mean(0))
    corners = band.get_paths()[0].vertices[:, 1]
    assert {corners.min(), corners.max()} == {values["iwae"].min(), values["iwae"].max()}
    assert {text.get_text() for text in figure.axes[1].texts} == {"elbo", "iwae"}


REFUSED = {
    r"x must be rows, \(N, P\); got shape \(4,\)": lambda: plot.images(torch.rand(4), IMAGE),
    r"x must be as wide as images \(1, 4, 3\), 12; got 5": lambda: plot.images(
        torch.rand(2, 5), IMAGE
    ),
    r"image_shape must be \(C, H, W\) with C 1 or 3 to be drawn; got \(2, 2, 3\)": (
        lambda: plot.images(torch.rand(2, P), (2, 2, 3))
    ),
    r"reconstruction must have the shape of x, \(2, 12\); got \(1, 12\)": (
        lambda: plot.reconstructions(torch.rand(2, P), torch.rand(1, P), IMAGE)
    ),
    r"image_shape must be \(C, H, W\) to draw a manifold; got None": (
        lambda: plot.manifold(drawn_manifold(), None)
    ),
    r"steps and seconds of 'elbo' must have the shape of its values, \(3, 8\); got \(2, 8\)": (
        lambda: plot.curves({"elbo": np.ones((2, 8))}, *drawn_curves(["elbo"])[1:])
    ),
}


@pytest.mark.parametrize(("message", "draw"), REFUSED.items())
def test_shapes_that_do_not_go_together_are_refused(message, draw):
    with pytest.raises(ValueError, match=message):
        draw()
