"""Simulated data are the same everywhere, and come from the process that is stated.

The random tests allow 5 standard errors, computed from the sample.
"""

import numpy as np
import pytest
import torch
from scipy import stats

from ppvae.data import load
from ppvae.data.streams import FixedStream

SIZES = {
    "gaussian_toy": ([1024, 256, 256], 20),
    "clusters": ([10_000, 1000, 1000], 1),
    "squares": ([1024, 256, 256], 1),
    "layers": ([1024, 256, 256], 1),
}
each_set = pytest.mark.parametrize("name", SIZES)


def all_rows(name, field="x"):
    return torch.cat([fields[field] for fields in load(name).splits.values()])


def within(sample, truth):
    error = sample.double().std(0) / len(sample) ** 0.5
    return bool(((sample.double().mean(0) - truth).abs() < 5 * error).all())


@each_set
def test_simulated_sets_have_the_documented_sizes(name):
    data = load(name)
    sizes, width = SIZES[name]
    assert [len(fields["x"]) for fields in data.splits.values()] == sizes
    assert (data.data_dim, data.binarize, data.image_shape) == (width, "none", None)
    assert data.train["x"].dtype == torch.float32


@each_set
def test_simulated_sets_say_how_they_were_made(name):
    assert "simulated with seed 0: x ~ N(" in load(name).describe()


@each_set
def test_simulated_sets_are_the_same_each_time_whatever_the_global_seed(name):
    first = load(name).fingerprint
    torch.manual_seed(17)
    assert load(name).fingerprint == first


def test_simulated_rows_are_those_of_every_machine_and_version():
    found = {name: all_rows(name)[:2, 0].tolist() for name in SIZES}
    expected = {
        "gaussian_toy": [-1.582765, -0.251245],
        "clusters": [132.87746, 130.50386],
        "squares": [0.060855, 0.214025],
        "layers": [-0.634684, 1.726601],
    }
    for name, values in expected.items():
        assert found[name] == pytest.approx(values, rel=1e-5), name


@each_set
def test_no_row_is_in_two_splits(name):
    x = all_rows(name)
    # Two of 12000 float32 values may agree by chance; two rows of a copied block are many.
    assert len(x.unique(dim=0)) > 0.99 * len(x)


def test_rows_of_the_toy_have_covariance_two():
    x = all_rows("gaussian_toy")
    centred = x - x.mean(0)
    assert within(centred.square().mean(1), 2.0)
    assert within(centred[:, 0] * centred[:, 1], 0.0)


def test_clusters_have_their_shares_places_and_width():
    x, y = all_rows("clusters")[:, 0], all_rows("clusters", "y")
    share = (5.0 + torch.arange(20)) / 290
    assert within(torch.nn.functional.one_hot(y, 20), share)
    assert within(x - 10 * y, 0.0)
    assert within((x - 10 * y).square(), 25.0)


def distribution(loc, scale):
    """The distribution function of N(loc(z), scale^2) with z ~ N(0, 1), by the trapezoid rule."""
    z = np.linspace(-8, 8, 1601)
    share = stats.norm.pdf(z) * (z[1] - z[0])
    return lambda x: stats.norm.cdf(np.asarray(x)[:, None], loc(z), scale) @ share


@pytest.mark.parametrize(
    ("name", "loc", "scale"),
    [("squares", np.square, 0.5), ("layers", lambda z: 2 * np.tanh(z), 0.5**0.5)],
)
def test_values_are_distributed_as_stated(name, loc, scale):
    x = all_rows(name)[:, 0].double().numpy()
    # 5 standard errors of a Gaussian leave 6e-7.
    assert stats.kstest(x, distribution(loc, scale)).pvalue > 6e-7


def test_normal_draws_are_normal():
    draws = FixedStream("a test", seed=0).normal(20_000)
    assert stats.kstest(draws, "norm").pvalue > 6e-7


def test_no_normal_draw_is_infinite(monkeypatch):
    stream = FixedStream("a test", seed=0)
    monkeypatch.setattr(
        stream, "uniform", lambda *shape: torch.tensor([0.0, 1 - 2**-24]).float().numpy()
    )
    lowest, highest = stream.normal(2)
    assert -5.5 < lowest < -5 and 5 < highest < 5.5
