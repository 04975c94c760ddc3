"""Laws of walks through the space of codes: lines and grids against closed forms, on every pair."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from matplotlib.figure import Figure
from pairs import PAIRS, fields_for, rows_for
from sklearn.decomposition import PCA

from ppvae import plot
from ppvae.codes import encode
from ppvae.models import LinearGaussian
from ppvae.pair import Pair
from ppvae.traversals import pushforward, traverse

# The site of the pairs that have several, and those through whose codes nobody can walk.
SITES = {
    **{"two-layers": "z2", "m1-m2": "z1", "vq-two-levels": "z1", "two-layers-upward": "z2"},
    **{"three-layers-upward": "z2", "two-layers-ladder": "z2"},
}
WITHOUT = {
    *(
        "bits",
        "bits-enumerated",
        "states-relaxed",
        "clusters",
        "clusters-enumerated",
        "bayesian-mixture",
    ),
    *("gaussian-mixture-drawn", "gaussian-mixture-summed", "gaussian-mixture-per-datum"),
    *("bayesian-regression", "bayesian-regression-full-rank"),
}
WALKS = {"traverse": (traverse, plot.traversal), "pushforward": (pushforward, plot.pushforward)}


def linear(latent_dim, data_dim=6):
    model = LinearGaussian.random(data_dim, latent_dim)
    return Pair(model, model.exact_guide)


def bent(x):
    """z in the plane, x on a surface over it."""
    with pyro.plate("data", len(x), dim=-1):
        z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
        first, second = z.unbind(-1)
        loc = torch.stack([first * second, second.square(), first.sin()], -1)
        pyro.sample("x", dist.Normal(loc, 1.0).to_event(1), obs=x)


def bent_guide(x):
    with pyro.plate("data", len(x), dim=-1):
        pyro.sample("z", dist.Normal(2 * x[:, :2], 0.5).to_event(1))


def assert_same(array, expected):
    torch.testing.assert_close(torch.tensor(array.values), torch.as_tensor(expected))


def moments_of(pair, x):
    codes = encode(pair, x)
    loc, scale = (torch.tensor(codes[f"z_{name}"].values) for name in ("loc", "scale"))
    return loc, (loc.var(0, correction=0) + scale.square().mean(0)).sqrt()


@pytest.mark.parametrize("walk", WALKS)
@pytest.mark.parametrize("name", PAIRS)
def test_every_pair_is_walked_through_or_refused_in_a_sentence(name, walk):
    pair, (step, draw) = PAIRS[name](), WALKS[walk]
    fields = fields_for(pair, rows_for(pair))
    if name in WITHOUT:
        with pytest.raises(ValueError, match=r"site must be one of .* without bounds, \[\]; got"):
            step(pair, fields)
        return
    found = step(pair, fields, site=SITES.get(name))
    assert bool(found["x_mean"].notnull().all())
    # Something moves, whatever the first weights are.
    assert float(abs(found["x_mean"] - found["x_mean"].mean()).max()) > 1e-6
    assert isinstance(draw(found, None), Figure)


def test_under_a_linear_decoder_a_coordinate_moves_along_its_column():
    pair, x = linear(4), torch.randn(50, 6)
    found = traverse(pair, x, row=3, num_coordinates=3, num_steps=5, reach=2.0)
    loc, scale = moments_of(pair, x)
    order = loc.var(0).argsort(descending=True)[:3]
    assert list(found["coordinate"].values) == [f"z[{i}]" for i in order]
    assert_same(found["activity"], loc.var(0, correction=0)[order])
    weight, bias = pair.model.weight.detach(), pair.model.bias.detach()
    for place, i in enumerate(order):
        for step, t in enumerate([-2.0, -1.0, 0.0, 1.0, 2.0]):
            z = loc[3].clone()
            z[i] = loc[:, i].mean() + t * scale[i]
            assert float(found["value"][place, step]) == pytest.approx(float(z[i]))
            assert_same(found["x_mean"][place, step], weight @ z + bias)


def test_a_grid_is_pushed_forward_through_a_known_map():
    x = torch.randn(40, 3)
    found = pushforward((bent, bent_guide), x, size=5, reach=1.5)
    loc, scale = moments_of((bent, bent_guide), x)
    steps = torch.linspace(-1.5, 1.5, 5)
    for name, i in (("first", 0), ("second", 1)):
        assert_same(found[name], loc[:, i].mean() + steps * scale[i])
        assert found[name].attrs["long_name"] == f"z[{i}]"
    first, second = (torch.tensor(found[name].values) for name in ("first", "second"))
    second, first = torch.meshgrid(second, first, indexing="ij")
    expected = torch.stack([first * second, second.square(), first.sin()], -1)
    assert found["x_mean"].dims == ("second", "first", "pixel")
    assert_same(found["x_mean"], expected)


def test_of_more_dimensions_the_grid_lies_along_the_principal_axes():
    pair, x = linear(4), torch.randn(50, 6)
    found = pushforward(pair, x, size=3, reach=1.0)
    loc = torch.tensor(encode(pair, x)["z_loc"].values)
    within = torch.tensor(encode(pair, x)["z_scale"].values).square().mean(0)
    middle = loc.mean(0)
    weight, bias = pair.model.weight.detach(), pair.model.bias.detach()
    assert_same(found["x_mean"][1, 1], weight @ middle + bias)
    for dim, axis in (("first", 0), ("second", 1)):
        direction = torch.tensor(PCA(2).fit(loc.numpy()).components_[axis])
        direction *= direction[direction.abs().argmax()].sign()
        spread = (loc @ direction).var(correction=0) + direction.square() @ within
        end = found["x_mean"].isel({dim: 2, "second" if axis == 0 else "first": 1})
        assert_same(end, weight @ (middle + spread.sqrt() * direction) + bias)
        assert_same(found[dim], direction @ middle + torch.tensor([-1.0, 0, 1]) * spread.sqrt())


def test_the_lower_layer_follows_the_upper_one_and_not_the_other_way():
    pair = PAIRS["two-layers"]()
    x, model = rows_for(pair), PAIRS["two-layers"]()[0]
    upper = traverse(pair, x, site="z2")
    tanh = torch.tensor(upper["value"].values).tanh().unsqueeze(-1)
    assert_same(upper["x_mean"], (model.gain * tanh).detach())
    lower = traverse(pair, x, site="z1")
    assert_same(lower["x_mean"], torch.tensor(lower["value"].values).unsqueeze(-1))


def test_a_label_stays_as_it_is_in_the_row():
    pair = PAIRS["cvae"]()
    fields = fields_for(pair, rows_for(pair))
    found = traverse(pair, fields, row=1, num_coordinates=1, num_steps=3)
    z = torch.tensor(encode(pair, fields)["z_loc"].values[1]).repeat(3, 1)
    place = int(found["coordinate"].values[0][2])
    z[:, place] = torch.tensor(found["value"].values[0])
    label = torch.nn.functional.one_hot(fields["y"][1], 3).double().expand(3, 3)
    expected = torch.sigmoid(pair[0].decoder(z, label)).detach()
    assert_same(found["x_mean"][0], expected)


@pytest.mark.parametrize("image_shape", [(1, 4, 4), None])
def test_pictures_have_a_line_for_each_coordinate_and_each_of_the_grid(image_shape):
    pair = PAIRS["bernoulli"]()
    x = rows_for(pair)
    figure = plot.traversal(traverse(pair, x), image_shape)
    figure.draw_without_rendering()
    if image_shape:
        labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
        assert sorted(label.split()[0] for label in labels) == ["z[0]", "z[1]"]
    figure = plot.pushforward(pushforward(pair, x, size=4), image_shape, x)
    figure.draw_without_rendering()
    lines = figure.axes[-1].lines if image_shape is None else figure.axes[1].lines
    assert len(lines) == 1 + 4 + 4


def test_grey_values_have_the_range_of_the_data():
    pair, x = PAIRS["gaussian"](), rows_for(PAIRS["gaussian"]())
    for figure in (
        plot.traversal(traverse(pair, x), (1, 4, 4), 3 * x),
        plot.pushforward(pushforward(pair, x, size=3), (1, 4, 4), 3 * x),
    ):
        assert figure.axes[0].images[0].get_clim() == (0.0, 3.0)


def test_bad_input_is_refused():
    x = torch.randn(5, 6)
    for message, given in (
        ("num_steps must be at least 2; got 1", {"num_steps": 1}),
        ("num_coordinates must be at least 1; got 0", {"num_coordinates": 0}),
        ("row must be one of the 5 rows of the batch; got 5", {"row": 5}),
        ("reach must be positive and finite; got 0", {"reach": 0.0}),
        (r"without bounds, \['z'\]; got 'w'", {"site": "w"}),
    ):
        with pytest.raises(ValueError, match=message):
            traverse(linear(2), x, **given)
    with pytest.raises(ValueError, match="size must be at least 2; got 1"):
        pushforward(linear(2), x, size=1)
    with pytest.raises(ValueError, match="batch must have at least 2 rows; got 1"):
        pushforward(linear(3), x[:1])
    found = pushforward(linear(2), x, size=2)
    with pytest.raises(ValueError, match=r"x must be rows, \(N, 6\); got shape \(5, 4\)"):
        plot.pushforward(found, None, x[:, :4])
    with pytest.raises(ValueError, match="traversal needs a model that observes x"):
        plot.traversal(found.drop_vars("x_mean"), None)
