"""Laws of the space of codes: lines, maps and grids against closed forms."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from pairs import PAIRS
from sklearn.decomposition import PCA

from ppvae.codes import encode, reconstruct
from ppvae.guides import GaussianGuide
from ppvae.latents import interpolate, latent_map, manifold, vector_sites
from ppvae.models import LinearGaussian
from ppvae.networks import MLP
from ppvae.pair import Pair


def linear(latent_dim, data_dim=6):
    model = LinearGaussian.random(data_dim, latent_dim)
    return Pair(model, model.exact_guide)


def two_sites(x):
    with pyro.plate("data", len(x), dim=-1):
        y = pyro.sample("y", dist.Categorical(torch.ones(3)))
        z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
        pyro.sample("x", dist.Normal(z + 10.0 * y.unsqueeze(-1), 1.0).to_event(1), obs=x)


def two_sites_guide(x):
    with pyro.plate("data", len(x), dim=-1):
        pyro.sample("y", dist.Categorical(torch.tensor([0.2, 0.3, 0.5])))
        pyro.sample("z", dist.Normal(x, 1.0).to_event(1))


def flow_guide(x):
    base = dist.Normal(x[:, :2], 1.0).to_event(1)
    with pyro.plate("data", len(x), dim=-1):
        pyro.sample("z", dist.TransformedDistribution(base, dist.transforms.TanhTransform()))


def assert_same(array, expected):
    torch.testing.assert_close(torch.tensor(array.values), torch.as_tensor(expected))


@pytest.mark.parametrize("guide", ["exact", "flow"])
def test_the_ends_of_a_line_are_the_reconstructions(guide):
    pair = linear(2) if guide == "exact" else (linear(2).model, flow_guide)
    first, second = torch.randn(3, 6), torch.randn(3, 6)
    line = interpolate(pair, first, second, num_steps=4)["x_mean"]
    assert line.dims == ("row", "step", "pixel")
    assert line.shape == (3, 4, 6)
    for place, batch in ((0, first), (-1, second)):
        assert_same(line.isel(step=place), reconstruct(pair, batch)["x_mean"].values)


def test_under_a_linear_decoder_the_line_is_straight():
    line = interpolate(linear(2), torch.randn(3, 6), torch.randn(3, 6), num_steps=5)["x_mean"]
    assert line["step"].values.tolist() == [0, 0.25, 0.5, 0.75, 1]
    ends = line.isel(step=0), line.isel(step=-1)
    for place, weight in enumerate(line["step"].values):
        assert_same(line.isel(step=place), ((1 - weight) * ends[0] + weight * ends[1]).values)


def test_on_a_line_a_discrete_latent_stays_as_it_was():
    first, second = torch.zeros(20, 2), torch.ones(20, 2)
    line = interpolate((two_sites, two_sites_guide), first, second, num_steps=3)["x_mean"]
    assert_same(line.diff("step"), torch.full((20, 2, 2), 0.5))


def test_a_line_of_one_point_is_refused():
    with pytest.raises(ValueError, match="num_steps must be at least 2; got 1"):
        interpolate(linear(2), torch.zeros(1, 6), torch.zeros(1, 6), num_steps=1)


def test_ends_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="second must have as many rows as first, 3; got 2"):
        interpolate(linear(2), torch.zeros(3, 6), torch.zeros(2, 6))


def test_a_map_of_two_dimensions_is_the_mean_code_with_its_label():
    pair, x, y = linear(2), torch.randn(5, 6), torch.tensor([3, -1, 4, 1, 5])
    found = latent_map(pair, {"x": x, "y": y})
    codes = encode(pair, x)["z_loc"]
    assert_same(found["first"], codes.values[:, 0])
    assert_same(found["second"], codes.values[:, 1])
    assert found["label"].values.tolist() == y.tolist()
    assert found["first"].attrs["long_name"] == "z[0]"
    assert "label" not in latent_map(pair, x)


def test_a_map_of_more_dimensions_is_that_of_principal_components():
    pair, x = linear(4), torch.randn(50, 6)
    found = latent_map(pair, x)
    codes = encode(pair, x)["z_loc"].values
    pca = PCA(2).fit(codes)
    expected = pca.transform(codes)
    for axis, name in enumerate(("first", "second")):
        weights = pca.components_[axis]
        sign = 1 if weights[abs(weights).argmax()] > 0 else -1
        assert_same(found[name], sign * expected[:, axis])
    share = pca.explained_variance_ratio_[0]
    assert found["first"].attrs["long_name"] == (
        f"principal axis 1 of z (D = 4), {share:.0%} of variance"
    )


def test_a_map_of_one_dimension_is_refused():
    with pytest.raises(ValueError, match=r"latent_map needs .* at least 2 dimensions; got \(1,\)"):
        latent_map(linear(1), torch.randn(5, 6))


def test_a_map_of_one_row_is_refused():
    with pytest.raises(ValueError, match="batch must have at least 2 rows; got 1"):
        latent_map(linear(3), torch.randn(1, 6))


def test_of_several_codes_one_must_be_named():
    with pytest.raises(ValueError, match=r"site must be one of .*\['z1', 'z2'\]; got None"):
        latent_map(PAIRS["two-layers"](), torch.zeros(3, 1))


def test_beside_labels_the_one_code_is_taken():
    pair, x = (two_sites, two_sites_guide), torch.zeros(3, 2)
    assert latent_map(pair, x).attrs["site"] == latent_map(pair, x, site="z").attrs["site"] == "z"


def test_a_manifold_is_the_decoder_on_a_grid_of_quantiles():
    pair = linear(2)
    found = manifold(pair, 4, like=torch.zeros(3, 6))["x_mean"]
    quantiles = dist.Normal(0.0, 1.0).icdf(torch.tensor([0.125, 0.375, 0.625, 0.875]))
    assert found.dims == ("second", "first", "pixel")
    assert_same(found["first"], quantiles)
    assert_same(found["second"], quantiles)
    for row in range(4):
        for column in range(4):
            z = torch.stack([quantiles[column], quantiles[row]])
            expected = (pair.model.weight @ z + pair.model.bias).detach()
            assert_same(found.isel(second=row, first=column), expected)


def test_a_manifold_needs_no_draw_from_the_prior():
    model = linear(2).model
    pair = Pair(model, GaussianGuide(MLP(6, [], 4)))
    before = torch.get_rng_state()
    manifold(pair, 2, like=torch.zeros(1, 6))
    assert torch.equal(torch.get_rng_state(), before)


def test_on_a_manifold_other_sites_are_held_as_given():
    pair, like = (two_sites, two_sites_guide), torch.zeros(1, 2)
    given = {"y": torch.tensor([0, 1, 2, 0])}
    found = manifold(pair, 2, like=like, site="z", given=given)["x_mean"].values.reshape(4, 2)
    z = torch.tensor([[-1, -1], [1, -1], [-1, 1], [1, 1]]) * dist.Normal(0.0, 1.0).icdf(
        torch.tensor(0.75)
    )
    torch.testing.assert_close(torch.tensor(found), z + 10.0 * given["y"].unsqueeze(-1))


def test_a_manifold_of_three_dimensions_is_refused():
    with pytest.raises(ValueError, match=r"manifold needs .* 2 dimensions; got \(3,\)"):
        manifold(linear(3), like=torch.zeros(1, 6))


def test_a_manifold_without_cells_is_refused():
    with pytest.raises(ValueError, match="size must be at least 1; got 0"):
        manifold(linear(2), 0, like=torch.zeros(1, 6))


def test_the_sites_that_have_a_map_are_vectors_of_rows():
    assert vector_sites((two_sites, two_sites_guide), torch.zeros(3, 2)) == ["z"]
    assert vector_sites(PAIRS["two-layers"](), torch.zeros(3, 1)) == []
    pair = PAIRS["two-layers-ladder"]()
    assert vector_sites(pair, torch.zeros(3, 16)) == ["z2", "z1"]
