"""Laws of the figures of comparisons: what is where, nothing over another, one look for a name."""

import itertools

import numpy as np
import pytest

from ppvae import plot
from ppvae.plot.looks import looks_of

NAMES = [f"estimator:{i}" for i in range(25)]
NAN = float("nan")


def drawn(figure):
    """The figure after it was laid out, which is when wrong sizes show."""
    figure.draw_without_rendering()
    return figure


def drawn_curves(ends):
    """Curves by name that end where told; three seeds, eight points."""
    steps = {name: np.tile(np.arange(8.0), (3, 1)) for name in ends}
    return steps, {
        name: np.tile(np.linspace(end - 7, end, 8), (3, 1)) for name, end in ends.items()
    }


def by_steps(ends):
    return drawn(plot.curves_by(*drawn_curves(ends), in_seconds=False, label="nats")).axes[0]


def boxes(texts):
    return [text.get_window_extent() for text in texts]


FIGURES = {
    "curves": lambda: plot.curves_by(
        *drawn_curves(dict.fromkeys(NAMES, 1.0)), in_seconds=True, label="nats"
    ),
    "intervals": lambda: plot.intervals({"a": dict.fromkeys(NAMES, (1, 0, 2))}, label="nats"),
    "sums": lambda: plot.sums(
        {"a": dict.fromkeys(NAMES, -9.0), "b": dict.fromkeys(NAMES, 0.5)}, label="nats"
    ),
    "histograms": lambda: plot.histograms(
        {name: np.random.randn(50) for name in NAMES}, threshold=0.7, label="k-hat"
    ),
    "heat": lambda: plot.heat({n: np.random.rand(6) for n in NAMES}, label="KL", columns="z"),
    "draws": lambda: plot.against_draws(
        {n: plot.ByDraws(*np.array([[1.0, 5.0], *[[0.0, 1.0]] * 3])) for n in NAMES}, label="nats"
    ),
}


@pytest.mark.parametrize("draw", FIGURES.values(), ids=FIGURES)
def test_25_names_stand_beside_the_axes_and_none_over_another(draw):
    figure = drawn(draw())
    axes = figure.axes[0]
    texts = [t for t in [*axes.texts, *axes.get_yticklabels()] if t.get_text() in NAMES]
    assert [t.get_text() for t in texts].count(NAMES[3]) == 1 and len(texts) == len(NAMES)
    edges = sorted((box.y0, box.y1) for box in boxes(texts))
    # Glyphs of one line may touch those of the next by a pixel.
    assert all(top <= bottom + 1 for (_, top), (bottom, _) in itertools.pairwise(edges))
    assert all(figure.bbox.x0 <= b.x0 and b.x1 <= figure.bbox.x1 for b in boxes(texts))


def test_the_names_at_the_right_stand_in_the_order_of_the_ends():
    ends = dict(zip(NAMES, np.random.permutation(25.0 * np.arange(25)), strict=True))
    heights = {t.get_text(): t.get_position()[1] for t in by_steps(ends).texts}
    assert sorted(ends, key=ends.get) == sorted(ends, key=heights.get)


def test_a_name_stands_at_the_end_of_its_curve_where_there_is_room():
    axes = by_steps({"low": 0.0, "high": 10.0})
    least, greatest = axes.get_ylim()
    for text in axes.texts:
        end = {"low": 0.0, "high": 10.0}[text.get_text()]
        assert text.get_position()[1] == pytest.approx((end - least) / (greatest - least), abs=0.03)


def test_a_curve_that_ends_far_below_most_leaves_the_frame_and_says_where():
    axes = by_steps(dict(zip("abcde", [0.0, 1.0, 2.0, 3.0, -500.0], strict=True)))
    assert axes.get_ylim()[0] > -20
    assert "e (↓ -500)" in [text.get_text() for text in axes.texts]


def test_a_curve_without_a_finite_end_has_no_name_at_the_right():
    axes = by_steps({"known": 1.0, "unknown": NAN})
    assert [text.get_text() for text in axes.texts] == ["known"]


def test_second_zero_is_not_drawn_on_the_logarithmic_axis():
    figure = drawn(plot.curves_by(*drawn_curves({"a": 1.0}), in_seconds=True, label="nats"))
    left, right = figure.axes[0].get_xlim()
    assert 1.0 <= left <= 7.0 <= right


def test_forty_names_have_looks_of_their_own():
    assert len(set(looks_of(map(str, range(40))).values())) == 40


def test_a_look_is_the_same_whatever_is_left_out():
    steps, values = drawn_curves({"b": 1.0})
    looks = looks_of(["a", "b"])
    figure = plot.curves_by(steps, values, in_seconds=False, label="nats", looks=looks)
    assert figure.axes[0].lines[0].get_color() == looks["b"].color != looks["a"].color


def test_an_interval_goes_from_low_to_high_through_its_value():
    axes = plot.intervals({"steps": {"a": (1.0, -2.0, 5.0)}}, label="nats").axes[0]
    (segment,) = axes.collections[0].get_segments()
    assert segment[:, 0].tolist() == [-2.0, 5.0]
    assert axes.lines[0].get_xdata()[0] == 1.0


def test_a_value_without_an_interval_is_a_point_alone():
    figure = plot.intervals({"steps": {"a": (1.0, NAN, NAN)}}, label="nats")
    assert drawn(figure).axes[0].lines[0].get_xdata()[0] == 1.0


def test_the_second_part_of_a_sum_begins_where_the_first_ends():
    axes = plot.sums({"ELBO": {"a": -9.0}, "KL": {"a": 0.5}}, label="nats").axes[0]
    first, second, _ = axes.patches
    assert first.get_x() + first.get_width() == pytest.approx(-9.0, abs=1e-12)
    assert (second.get_x(), second.get_width()) == (-9.0, 0.5)
    assert axes.get_xlim()[0] == first.get_x() < -9.0
    assert [text.get_text() for text in axes.texts] == ["0.50"]


def test_the_share_above_the_threshold_counts_infinity_and_not_nan():
    sample = np.array([0.0, 0.1, 0.9, np.inf, -np.inf, NAN])
    axes = plot.histograms({"a": sample}, threshold=0.7, label="k-hat").axes[0]
    assert [text.get_text() for text in axes.texts] == ["40%", "above 0.70"]


def test_shades_have_a_line_for_each_name_and_grey_where_nothing_is_known():
    axes = plot.heat(
        {"a": np.array([2.0, 1.0]), "b": np.array([3.0, NAN])}, label="KL", columns="z"
    )
    mesh = axes.axes[0].collections[0].get_array()
    np.testing.assert_array_equal(mesh.mask, [[False, False], [False, True]])
    assert mesh.filled(0).tolist() == [[2.0, 1.0], [3.0, 0.0]]


def test_draws_are_on_a_logarithmic_axis_with_a_mark_at_each():
    line = plot.ByDraws(*np.array([[1.0, 16.0, 1024.0], *[[1.0, 4.0, 32.0]] * 3]))
    axes = drawn(plot.against_draws({"a": line}, label="SNR", logarithmic=True)).axes[0]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert [t.get_text() for t in axes.get_xticklabels()] == ["1", "16", "1024"]
    assert [t.get_text() for t in axes.texts] == ["a"]
