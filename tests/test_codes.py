"""Laws of encoding and reconstruction: closed forms, layered and discrete guides."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer.autoguide import AutoNormal, init_to_value

from ppvae.codes import encode, reconstruct
from ppvae.guides import DeltaGuide
from ppvae.networks import MLP
from ppvae.pair import Pair

DRAWS = "average of 100 draws"


@pytest.fixture
def pair(linear_gaussian):
    return Pair(linear_gaussian.model, linear_gaussian.guide)


def layered_model(x):
    with pyro.plate("data", len(x), dim=-1):
        z1 = pyro.sample("z1", dist.Normal(torch.zeros(2), 1.0).to_event(1))
        z2 = pyro.sample("z2", dist.Normal(z1.sum(-1), 1.0))
        pyro.sample("x", dist.Normal(z1.sum(-1) + 10 * z2, 1.0), obs=x)


def layered_guide(x):
    with pyro.plate("data", len(x), dim=-1):
        loc = torch.stack([x, -x], -1)
        z1 = pyro.sample("z1", dist.Normal(loc, 1.0).to_event(1))
        pyro.sample("z2", dist.Normal(2 * z1[..., 0], 0.5))


def mixed_model(x):
    with pyro.plate("data", len(x), dim=-1):
        y = pyro.sample("y", dist.Categorical(torch.ones(3)))
        z = pyro.sample("z", dist.Normal(torch.zeros(()), 1.0))
        pyro.sample("x", dist.Normal(z + 10.0 * y, 1.0), obs=x)


def mixed_guide(x):
    with pyro.plate("data", len(x), dim=-1):
        y = pyro.sample("y", dist.Categorical(torch.tensor([0.5, 0.25, 0.25])))
        pyro.sample("z", dist.Normal(x + 100.0 * y, 0.5))


def flow_guide(x):
    base = dist.Normal(torch.zeros(len(x)), 1.0)
    with pyro.plate("data", len(x), dim=-1):
        pyro.sample("z", dist.TransformedDistribution(base, dist.transforms.ExpTransform()))


def scalar_model(x):
    with pyro.plate("data", len(x), dim=-1):
        z = pyro.sample("z", dist.Normal(torch.zeros(()), 1.0))
        pyro.sample("x", dist.Normal(z, 1.0), obs=x)


def labelled_model(x, y):
    with pyro.plate("data", len(x), dim=-1):
        y = pyro.sample("y", dist.Categorical(torch.ones(3)), obs=y)
        z = pyro.sample("z", dist.Normal(torch.zeros(()), 1.0))
        pyro.sample("x", dist.Normal(z + 10.0 * y, 1.0), obs=x)


def labelled_guide(x, y):
    with pyro.plate("data", len(x), dim=-1):
        pyro.sample("z", dist.Normal(x - 10.0 * y, 0.5))


def test_encode_is_the_closed_form_of_the_posterior(pair, linear_gaussian):
    found = encode(pair, linear_gaussian.x)
    exact = pair.model.posterior(linear_gaussian.x)
    for name, value in (("z_loc", exact.mean), ("z_scale", exact.stddev)):
        torch.testing.assert_close(torch.tensor(found[name].values), value.detach())
        assert found[name].dims == ("row", "latent")
        assert found[name].attrs["how"] == "mean"


def test_encode_leaves_the_global_generator_as_it_was():
    before = torch.get_rng_state()
    encode((layered_model, layered_guide), torch.zeros(2))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_layer_below_is_encoded_by_its_marginal_moments():
    x = torch.linspace(-1, 1, 500)
    found = encode((layered_model, layered_guide), x)
    assert found["z1_loc"].attrs["how"] == "mean"
    assert found["z2_loc"].attrs["how"] == DRAWS
    assert found["z1_loc"].dims == ("row", "z1_0")
    scale = (2**2 + 0.5**2) ** 0.5
    error = torch.tensor(found["z2_loc"].values) - 2 * x
    assert error.mean().abs() < 5 * scale / (100 * 500) ** 0.5
    scales = torch.tensor(found["z2_scale"].values)
    variances = scales.square()
    assert (variances.mean() - scale**2).abs() < 5 * variances.std() / 500**0.5


def test_a_flow_is_encoded_by_draws():
    found = encode((scalar_model, flow_guide), torch.zeros(2000))
    loc = torch.tensor(found["z_loc"].values)
    assert found["z_loc"].attrs["how"] == DRAWS
    assert (loc.mean() - torch.tensor(0.5).exp()).abs() < 5 * loc.std() / 2000**0.5


def test_an_automatic_guide_is_encoded_with_its_spread_and_not_as_a_point():
    values = {"z": torch.full((300,), 2.0)}
    guide = AutoNormal(scalar_model, init_loc_fn=init_to_value(values=values), init_scale=0.1)
    found = encode((scalar_model, guide), torch.zeros(300))
    assert set(found) == {"z_loc", "z_scale"}
    scale = torch.tensor(found["z_scale"].values)
    assert (scale.square().mean() - 0.01).abs() < 5 * scale.square().std() / 300**0.5


def test_a_point_guide_has_no_spread():
    guide = DeltaGuide(MLP(3, [], 2))
    found = encode((scalar_model, guide), torch.ones(4, 3))
    loc = torch.tensor(found["z_loc"].values)
    torch.testing.assert_close(loc, guide.encoder(torch.ones(4, 3)).detach())
    assert (found["z_scale"].values == 0).all()


def test_reconstruct_is_the_decoder_at_the_mean_code(pair, linear_gaussian):
    found = reconstruct(pair, linear_gaussian.x)["x_mean"]
    loc = pair.model.posterior(linear_gaussian.x).mean @ pair.model.weight.T + pair.model.bias
    torch.testing.assert_close(torch.tensor(found.values), loc.detach())
    assert found.dims == ("row", "pixel")
    assert found.attrs["how"] == "mean"


def test_reconstruct_decodes_the_means_of_all_layers():
    pair, x = (layered_model, layered_guide), torch.linspace(-1, 1, 4)
    codes = encode(pair, x, seed=5)
    expected = codes["z1_loc"].sum("z1_0") + 10 * codes["z2_loc"]
    torch.testing.assert_close(
        torch.tensor(reconstruct(pair, x, seed=5)["x_mean"].values) / 10,
        torch.tensor(expected.values) / 10,
        rtol=0,
        # Both are averages of 100 draws, of standard deviation 2.06.
        atol=5 * 2**0.5 * 2.06 / 100**0.5,
    )


def test_reconstruct_holds_a_discrete_latent_at_one_of_its_values():
    x = torch.linspace(-1, 1, 50)
    found = torch.tensor(reconstruct((mixed_model, mixed_guide), x)["x_mean"].values)
    labels = (found - x) / 110
    torch.testing.assert_close(labels, labels.round())
    assert labels.round().unique().tolist() == [0, 1, 2]


def test_reconstruct_keeps_an_observed_label():
    batch = {"x": torch.linspace(-1, 1, 9), "y": torch.arange(9) % 3}
    found = reconstruct((labelled_model, labelled_guide), batch)["x_mean"]
    torch.testing.assert_close(torch.tensor(found.values), batch["x"])


def test_a_seed_decides_the_draws_of_a_reconstruction():
    pair, x = (mixed_model, mixed_guide), torch.zeros(50)
    first, again, other = (reconstruct(pair, x, seed=seed)["x_mean"] for seed in (1, 1, 2))
    assert first.equals(again)
    assert not first.equals(other)
