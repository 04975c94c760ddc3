"""Laws of the mixtures' figures: what is drawn in them."""

import numpy as np
import pytest
import torch

from ppvae import coordinate_ascent, plot
from ppvae.coordinate_ascent import MeanFieldGaussian
from ppvae.em import Along


def course(steps):
    grid = torch.linspace(-2, 2, 9)
    theta = torch.linspace(-1, 1, steps + 1)
    return Along(grid, -grid.square(), -2 * torch.ones(steps, 9), theta, -theta.square())


def test_a_panel_for_each_start_has_each_bound_and_the_curve_above_it():
    figure = plot.touching({"left": course(3), "right": course(2)}, parameter="mean, minutes")
    figure.draw_without_rendering()
    left, right = figure.axes[:2]
    assert (left.get_title(), right.get_xlabel()) == ("left", "mean, minutes")
    # Bounds, the curve, a point for each bound, and a star.
    assert len(left.lines) == 3 + 1 + 3 + 1 and len(right.lines) == 2 + 1 + 2 + 1
    assert np.allclose(left.lines[3].get_ydata(), -(np.linspace(-2, 2, 9) ** 2))
    assert left.lines[-1].get_xydata().tolist() == [[1.0, -1.0]]


def test_an_ellipse_lies_two_standard_deviations_around_its_mean():
    means, covariances = np.array([[1.0, 2.0]]), np.array([[[4.0, 0.0], [0.0, 9.0]]])
    one = plot.Ellipses("step 0", np.array([1.0]), means, covariances)
    figure = plot.ellipses(np.random.randn(7, 2), [one] * 5, labels=("a", "b"))
    figure.draw_without_rendering()
    drawn = figure.axes[0].lines[1].get_xydata()
    assert np.allclose(drawn.max(0), [5.0, 8.0], atol=1e-2)
    assert np.allclose(drawn.min(0), [-3.0, -4.0], atol=1e-2)
    assert [axes.axison for axes in figure.axes] == [True] * 5 + [False] * 3
    assert figure.axes[4].get_ylabel() == "b"


def test_the_staircase_goes_through_the_means():
    q = MeanFieldGaussian(torch.zeros(2), torch.tensor([[1.0, 0.5], [0.5, 1.0]]), torch.ones(2))
    path = coordinate_ascent(q.factors, q.elbo, watch=lambda: q.mean.clone()).watched
    path = torch.stack(path).numpy()
    figure = plot.staircase(q.loc.numpy(), q.covariance.numpy(), path, q.variance.numpy())
    figure.draw_without_rendering()
    lines = {line.get_label(): line.get_xydata() for line in figure.axes[0].lines}
    assert np.array_equal(lines["mean of q by update"], path)
    assert lines["q, mean field"][:, 0].max() == pytest.approx(2 * 0.75**0.5, abs=1e-3)
