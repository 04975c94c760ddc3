"""The sigma-VAE: its scale in closed form, sharpness, and what may be compared with what."""

import pytest
import torch
from matplotlib.figure import Figure

import ppvae
from ppvae import plot
from ppvae.data import load
from ppvae.examples import sigma_vae as example
from ppvae.experiment import build, find_recipe
from ppvae.guides import GaussianGuide
from ppvae.networks import Frozen
from ppvae.sharpness import sharpness

KINDS = example.KINDS


@pytest.fixture(autouse=True)
def in_float32(fixed_start):
    torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="module")
def data():
    return load("digits", binarize="none")


def fitted(data, epochs=1, lr=None, **options):
    made = build(find_recipe("sigma-vae"), data, hidden=32, latent_dim=3, **options)
    return ppvae.fit(made, data, epochs=epochs, lr=lr, threads=1, progress=False)


def scale_of(run):
    return float(run.model.likelihood(torch.zeros(1)).base_dist.scale.detach())


def test_the_learned_scale_is_the_mean_squared_error_of_draws(data):
    run = fitted(data, epochs=25, lr=6e-3)
    error = example.squared_error(run, data.train["x"], num_draws=50)
    assert scale_of(run) ** 2 == pytest.approx(error, rel=0.02)


def test_the_scale_begins_where_a_decoder_of_means_would_have_it(data):
    made = build(find_recipe("sigma-vae"), data)
    x = data.train["x"]
    start = made.model.likelihood(torch.zeros(1)).base_dist.scale.detach()
    torch.testing.assert_close(start, x.var(0, correction=0).mean().sqrt().reshape(1))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_trained_and_has_bits_only_on_levels(data, kind):
    run = fitted(data, kind=kind)
    found = ppvae.evaluate(run, num_particles=5)
    assert ("bits_per_dim" in found) == (kind in example.ON_LEVELS)


def test_a_kind_that_there_is_not_is_refused(data):
    with pytest.raises(ValueError, match=r"kind must be one of fixed, learned, .*; got 'mse'"):
        build(find_recipe("sigma-vae"), data, kind="mse")


def test_comparing_ranks_no_density_against_a_probability(data):
    def density(data):
        return build(find_recipe("sigma-vae"), data, hidden=8, kind="learned")

    def mass(data):
        return build(find_recipe("sigma-vae"), data, hidden=8, kind="logistic")

    small = {"seeds": (0, 1), "steps": 3, "num_particles": 5, "points": 2, "progress": False}
    found = ppvae.compare([density, mass], data, estimators=[ppvae.ELBO()], **small)
    assert all(row["difference"] != row["difference"] for row in found.table())


def test_the_picture_has_the_same_codes_and_a_number_beside_each_line(data):
    run = fitted(data)
    guide = GaussianGuide(Frozen(run.guide.encoder))
    other = ppvae.fit((run.model, guide), data, epochs=1, threads=1, progress=False)
    figure = example.picture({"one": {"learned": run}, "two": {"learned": other}}, data)
    assert isinstance(figure, Figure)
    said = [text.get_text() for text in figure.axes[0].texts]
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["data", "learned, mean", "learned, draw"]
    assert said[0] == "1" and len(said) == 4
    codes = [ppvae.encode(each, data.test["x"])["z_loc"].values for each in (run, other)]
    assert (codes[0] == codes[1]).all()
    mean, _ = example.decoded(run, data.test["x"])
    share = sharpness(mean, (1, 8, 8)).mean() / sharpness(data.test["x"], (1, 8, 8)).mean()
    assert said[1] == f"{share:.2f}"


def board(side):
    return (torch.arange(side)[:, None] + torch.arange(side)).remainder(2.0).reshape(1, -1)


def test_sharpness_of_a_board_an_impulse_and_a_slope_is_known():
    # Inside of a board every Laplacian is 4 or -4, as often one as the other.
    torch.testing.assert_close(sharpness(0.5 * board(6), (1, 6, 6)), torch.tensor([4.0]))
    impulse = torch.zeros(7, 7)
    impulse[3, 3] = 1.0
    # -4 once, 1 four times, 0 else, of sum 0, over the 25 inner pixels.
    torch.testing.assert_close(sharpness(impulse.reshape(1, -1), (1, 7, 7)), torch.tensor([0.8]))
    slope = torch.arange(5.0) + 3 * torch.arange(4.0)[:, None]
    torch.testing.assert_close(sharpness(slope.reshape(1, -1), (1, 4, 5)), torch.tensor([0.0]))


def test_blur_lowers_sharpness_and_noise_adds_twenty_times_its_variance(data):
    x = data.test["x"]
    blurred = torch.nn.functional.avg_pool2d(x.reshape(-1, 1, 8, 8), 3, 1, 1).flatten(1)
    assert (sharpness(blurred, (1, 8, 8)) < 0.3 * sharpness(x, (1, 8, 8))).all()
    noise = 0.1 * torch.randn(4000, 400)
    found = sharpness(noise, (1, 20, 20))
    error = found.std() / 4000**0.5
    # The mean over the inner pixels takes its share of the variance of a sum away.
    expected = 20 * 0.01 * (1 - 1 / 324 * border(18) / 20)
    assert (found.mean() - expected).abs() < 5 * error


def border(inner):
    """Variance of the sum of Laplacians over a square, over its pixels, for unit noise."""
    weight = torch.nn.functional.conv2d(
        torch.ones(1, 1, inner, inner),
        torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])[None, None],
        padding=2,
    )
    return float(weight.square().sum()) / inner**2


def test_channels_are_averaged():
    x = torch.cat([board(6), 0.5 * board(6), torch.zeros(1, 36)], 1)
    torch.testing.assert_close(sharpness(x, (3, 6, 6)), torch.tensor([20.0 / 3]))


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"H and W at least 3; got \(1, 2, 8\)"):
        sharpness(torch.zeros(1, 16), (1, 2, 8))
    with pytest.raises(ValueError, match=r"x must be rows of images .*, \(N, 16\); got \(1, 15\)"):
        sharpness(torch.zeros(1, 15), (1, 4, 4))
    with pytest.raises(ValueError, match="panels must hold a line each; got 0 panels"):
        plot.beside({}, (1, 4, 4))
