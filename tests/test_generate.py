"""Laws of generation: prior draws, held sites, means, and nothing left behind."""

from types import SimpleNamespace

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from torch import nn
from torch.distributions import constraints

from ppvae.distributions import FlatPrior, GaussianLikelihood
from ppvae.generate import generate, sample
from ppvae.guides import DeltaGuide
from ppvae.means import mean_of
from ppvae.models import VAE
from ppvae.networks import MLP
from ppvae.pair import Pair


@pytest.fixture
def pair(linear_gaussian):
    return Pair(linear_gaussian.model, linear_gaussian.guide)


def no_guide(x):
    pass


def shifted(x):
    with pyro.plate("data", len(x), dim=-1):
        pyro.sample("x", dist.Normal(pyro.param("shift", torch.tensor(0.0)), 1e-9), obs=x)


def labelled(x, y):
    with pyro.plate("data", len(x), dim=-1):
        z = pyro.sample("z", dist.Normal(torch.zeros(()), 1.0))
        pyro.factor("penalty", z.square())
        pyro.sample("x", dist.Normal(torch.stack([z, y * 1.0], -1), 1e-9).to_event(1), obs=x)


def improper(x):
    with pyro.plate("data", len(x), dim=-1):
        z = pyro.sample("z", dist.ImproperUniform(constraints.real, (), ()))
        pyro.sample("x", dist.Normal(z, 1.0), obs=x)


def test_prior_draws_have_the_mean_and_covariance_of_the_formula(pair):
    model, num_rows = pair.model, 20_000
    drawn = sample(pair, num_rows, like=torch.zeros(1, 5))
    x = torch.tensor(drawn["x"].values)
    covariance = model.weight @ model.weight.T + model.log_scale.exp() ** 2 * torch.eye(5)
    covariance = covariance.detach()
    mean_error = (x.mean(0) - model.bias.detach()) / (covariance.diagonal() / num_rows).sqrt()
    assert (mean_error.abs() < 5).all()
    products = covariance.diagonal().outer(covariance.diagonal()) + covariance.square()
    assert ((x.T.cov() - covariance).abs() < 5 * (products / num_rows).sqrt()).all()


def test_the_mean_beside_a_draw_is_the_decoder_at_its_code(pair):
    drawn = sample(pair, 7, like=torch.zeros(3, 5))
    z = torch.tensor(drawn["z"].values)
    loc = z @ pair.model.weight.T + pair.model.bias
    torch.testing.assert_close(torch.tensor(drawn["x_mean"].values), loc.detach())
    assert drawn["x_mean"].attrs["how"] == "mean"


def test_dimensions_have_names(pair):
    drawn = sample(pair, 7, like=torch.zeros(3, 5))
    assert {name: drawn[name].dims for name in drawn} == {
        "z": ("row", "latent"),
        "x": ("row", "pixel"),
        "x_mean": ("row", "pixel"),
    }
    assert drawn["x"].shape == (7, 5)


def test_a_held_site_keeps_its_value_and_the_rest_is_drawn(pair, linear_gaussian):
    z = torch.randn(3, 2)
    values = generate(pair, linear_gaussian.x, given={"z": z})
    assert torch.equal(values["z"], z)
    assert (values["x"] != linear_gaussian.x).all()


def test_the_observed_site_can_be_held_too(pair, linear_gaussian):
    values = generate(pair, torch.zeros(3, 5), given={"x": linear_gaussian.x})
    assert torch.equal(values["x"], linear_gaussian.x)


def test_the_other_order_of_handlers_would_lose_what_is_held(pair, linear_gaussian):
    z = torch.randn(3, 2)
    wrong = poutine.uncondition(poutine.condition(pair.model, {"z": z}))
    assert (poutine.trace(wrong).get_trace(linear_gaussian.x).nodes["z"]["value"] != z).all()
    assert torch.equal(generate(pair.model, linear_gaussian.x, {"z": z})["z"], z)


def test_a_pair_generates_with_its_own_params():
    pair = Pair(shifted, no_guide)
    with pair.entered():
        pyro.param("shift", torch.tensor(7.0))
    torch.testing.assert_close(generate(pair, torch.zeros(2))["x"], torch.full((2,), 7.0))
    assert len(pyro.get_param_store()) == 0


def test_a_bare_model_generates_with_the_params_of_pyros_store():
    pyro.param("shift", torch.tensor(3.0))
    torch.testing.assert_close(generate(shifted, torch.zeros(2))["x"], torch.full((2,), 3.0))


def test_a_seed_decides_the_draws_and_the_global_generator_is_untouched(pair):
    like, before = torch.zeros(3, 5), torch.get_rng_state()
    first, again, other = (generate(pair, like, seed=seed)["x"] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert (first != other).all()
    assert torch.equal(torch.get_rng_state(), before)


def test_networks_run_in_evaluation_mode_and_get_their_own_modes_back():
    seen = []

    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.frozen = nn.Dropout().eval()

        def forward(self, z):
            seen.append(self.training)
            return z

    decoder = Decoder()
    model = VAE(decoder, FlatPrior(2), GaussianLikelihood())
    generate((model, DeltaGuide(nn.Identity())), torch.zeros(1, 2), {"z": torch.ones(1, 2)})
    assert seen == [False]
    assert decoder.training
    assert not decoder.frozen.training


def test_no_gradient_is_recorded(pair):
    assert not generate(pair, torch.zeros(3, 5))["x"].requires_grad


def test_rows_of_like_are_taken_in_turn():
    like = {"x": torch.zeros(2, 2), "y": torch.tensor([4, 9]), "index": torch.arange(2)}
    drawn = sample((labelled, no_guide), 5, like=like)
    assert drawn["x"].values[:, 1].round().tolist() == [4, 9, 4, 9, 4]


def test_a_run_brings_its_training_rows():
    fields = {"x": torch.zeros(2, 2), "y": torch.tensor([4, 9])}
    run = SimpleNamespace(pair=Pair(labelled, no_guide), data=SimpleNamespace(train=fields))
    assert sample(run, 2)["x"].values[:, 1].round().tolist() == [4, 9]


def test_a_factor_is_no_variable():
    like = {"x": torch.zeros(2, 2), "y": torch.tensor([4, 9])}
    assert set(sample((labelled, no_guide), 2, like=like)) == {"z", "x", "x_mean"}


def test_a_held_latent_gets_no_mean(pair):
    drawn = sample(pair, 3, like=torch.zeros(1, 5), given={"z": torch.zeros(3, 2)})
    assert set(drawn) == {"z", "x", "x_mean"}


def test_a_mean_with_a_formula_is_that_formula():
    distribution = dist.Gamma(torch.tensor([2.0, 3.0]), 4.0)
    mean, how = mean_of(distribution)
    assert torch.equal(mean, torch.tensor([0.5, 0.75]))
    assert how == "mean"


NO_MEAN = {
    "transformed": (
        dist.TransformedDistribution(
            dist.Normal(torch.zeros(1000), 1.0), dist.transforms.ExpTransform()
        ),
        0.5 * torch.ones(()),
    ),
    "categorical": (
        dist.Categorical(torch.tensor([0.2, 0.3, 0.5]).expand(1000, 3)),
        torch.tensor(1.3).log(),
    ),
}


@pytest.mark.parametrize(("distribution", "log_mean"), NO_MEAN.values(), ids=NO_MEAN)
def test_a_mean_without_a_formula_is_an_average_of_draws(distribution, log_mean):
    mean, how = mean_of(distribution)
    assert how == "average of 100 draws"
    assert mean.shape == (1000,)
    assert (mean.mean() - log_mean.exp()).abs() < 5 * mean.std() / 1000**0.5


def test_a_name_that_the_model_lacks_is_refused(pair):
    with pytest.raises(ValueError, match=r"given must name sites of the model, \['z', 'x'\]; got"):
        generate(pair, torch.zeros(3, 5), given={"y": torch.zeros(3)})


def test_a_given_value_of_another_shape_is_refused(pair):
    with pytest.raises(
        ValueError, match=r"given 'z' must have the shape .* \(3, 2\); got \(1, 2\)\.$"
    ):
        generate(pair, torch.zeros(3, 5), given={"z": torch.zeros(1, 2)})


def test_a_prior_that_cannot_be_drawn_is_refused():
    with pytest.raises(
        ValueError, match=r"site 'z' must have .* drawn from.*got ImproperUniform\.$"
    ):
        sample((improper, no_guide), 2, like=torch.zeros(1))
    flat = VAE(MLP(2, [], 3), FlatPrior(2), GaussianLikelihood())
    with pytest.raises(ValueError, match=r"a flat prior scores codes and cannot draw them.*\.$"):
        sample((flat, DeltaGuide(MLP(3, [], 2))), 2, like=torch.zeros(1, 3))


def test_a_sample_of_no_rows_is_refused(pair):
    with pytest.raises(ValueError, match="num_rows must be at least 1; got 0"):
        sample(pair, 0, like=torch.zeros(1, 5))


def test_a_pair_without_rows_to_be_like_is_refused(pair):
    with pytest.raises(ValueError, match=r"like must be a batch where no run .*; got None"):
        sample(pair)


def test_a_batch_without_rows_is_refused(pair):
    with pytest.raises(ValueError, match=r"batch must hold a tensor with rows; got \(3,\)"):
        sample(pair, 2, like=3)


def test_what_is_no_pair_is_refused():
    with pytest.raises(TypeError, match=r"run must be a run, a Pair or a tuple .*; got str"):
        sample("vae")
