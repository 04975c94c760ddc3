"""check: what it says of a good pair, and the words for everything that can be wrong with one."""

import pyro
import pyro.distributions as dist
import pyro.distributions.transforms as transforms
import pytest
import torch
from programs import ENUMERATED, binary_rows, binary_vae, rows, standard_normal
from torch import nn
from trainings import line_pair, restless_pair

from ppvae import check

X = torch.linspace(-1.0, 1.0, 30, dtype=torch.float64).reshape(5, 6)


def linear(z):
    return z @ torch.ones(2, 6)


def model_of(observed, prior=lambda: standard_normal(2)):
    """z from a prior, x from what a function of z says."""

    def model(x):
        with rows(x):
            pyro.sample("x", observed(pyro.sample("z", prior())), obs=x)

    return model


def gaussian(z, decode=linear):
    return dist.Normal(decode(z), 1.0).to_event(1)


def guide(x):
    loc = pyro.param("loc", torch.zeros(2))
    with rows(x):
        pyro.sample("z", dist.Normal(loc, 1.0).to_event(1).expand([len(x)]))


def test_a_good_pair_is_described_site_by_site():
    assert str(check(*binary_vae(), binary_rows())).splitlines() == [
        "model 'z' (latent, Normal): plate data 5 at -1; batch (5,), event (2,)",
        "model 'x' (observed, Bernoulli): plate data 5 at -1; batch (5,), event (6,)",
        "guide 'z' (latent, Normal): plate data 5 at -1; batch (5,), event (2,)",
        "nothing wrong was found",
    ]


def labels():
    logits, weight = nn.Linear(6, 3), nn.Linear(2, 6)

    def model(x):
        pyro.module("weight", weight)
        with rows(x):
            y = pyro.sample("y", dist.Categorical(torch.ones(3)))
            z = pyro.sample("z", standard_normal(2))
            pyro.sample("x", gaussian(weight(z) + y.unsqueeze(-1), lambda loc: loc), obs=x)

    def guide(x):
        pyro.module("logits", logits)
        with rows(x):
            pyro.sample("y", dist.Categorical(logits=logits(x)), infer=ENUMERATED)
            pyro.sample("z", dist.Normal(x[:, :2], 1.0).to_event(1))

    return model, guide


def planar():
    flow = transforms.Planar(2)

    def guide(x):
        pyro.module("flow", flow)
        with rows(x):
            base = standard_normal(2).expand([len(x)])
            pyro.sample("z", dist.TransformedDistribution(base, [flow]))

    return model_of(gaussian), guide


GOOD = {
    "labels": (labels, X),
    "named params": (line_pair, X[:, :1]),
    "dropout": (restless_pair, binary_rows().double()),
    "positional": (lambda: binary_vae(), (binary_rows(),)),
    "fields": (lambda: binary_vae(), {"x": binary_rows(), "y": torch.zeros(5)}),
    "planar flow": (planar, X),
}


@pytest.mark.parametrize(("make", "batch"), GOOD.values(), ids=GOOD)
def test_a_good_pair_has_no_problem(make, batch):
    assert check(*make(), batch).problems == []


def bare(x):
    pyro.param("loc", torch.zeros(2))
    with rows(x):
        pyro.sample("z", dist.Normal(torch.zeros(len(x), 2), 1.0))


def nothing_to_train(x):
    with rows(x):
        pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1).expand([len(x)]))


def square(x):
    with rows(x):
        pyro.sample("z", dist.Normal(torch.zeros(len(x), len(x)), 1.0))


def renamed(x):
    with rows(x):
        pyro.sample("latent", dist.Normal(torch.zeros(2), 1.0).to_event(1))


def plateless(x):
    z = pyro.sample("z", standard_normal(2))
    pyro.sample("x", dist.Normal(linear(z), 1.0).expand([5, 6]).to_event(2), obs=x)


def raising(z):
    raise RuntimeError("mine is\nbroken")


PROBLEMS = {
    "latents": (
        (model_of(gaussian), renamed),
        r"model and guide must sample the same latent sites; model has \['z'\], "
        r"guide has \['latent'\]",
    ),
    "to_event in the guide": (
        (model_of(gaussian), bare),
        r"plate\('data'\) at site z dim -1, 5 vs 2 \(\.to_event\(1\) is missing, or a plate\)",
    ),
    "to_event in the model": (
        (model_of(lambda z: dist.Normal(linear(z), 1.0)), guide),
        r"plate\('data'\) at site x dim -1, 5 vs 6 \(\.to_event\(1\) is missing, or a plate\)",
    ),
    "width 1": (
        (model_of(lambda z: dist.Normal(z[..., :1], 1.0).to_event(1)), guide),
        r"site 'x' of the model must be as wide as the data, \(6,\); got \(1,\)",
    ),
    "width 1 without to_event": (
        (model_of(lambda z: dist.Normal(z[..., :1], 1.0)), guide),
        r"site 'x' of the model must have batch dimensions that are plates; got .* \(5, 5\)",
    ),
    "no event at all": (
        (model_of(lambda z: dist.Normal(z[..., 0], 1.0)), guide),
        r"site 'x' of the model must be as wide as the data, \(6,\); got \(\)",
    ),
    "no plate": ((plateless, guide), "model must observe the data inside `with pyro.plate"),
    "no observed site": ((guide, guide), "model must observe the data at a site; got no observed"),
    "nothing to train": (
        (model_of(gaussian), nothing_to_train),
        "the pair must have a parameter to train; got none",
    ),
    "an error of a network": ((model_of(lambda z: gaussian(z, raising)), guide), "mine is broken"),
    "shapes": (
        (model_of(lambda z: gaussian(z, lambda z: z @ torch.ones(3, 6))), guide),
        "cannot be multiplied",
    ),
}


@pytest.mark.parametrize(("pair", "message"), PROBLEMS.values(), ids=PROBLEMS)
def test_each_problem_has_its_words(pair, message):
    with pytest.raises(ValueError, match=message):
        check(*pair, X).raise_if_wrong()


SQUARE = {
    "no to_event": (
        lambda z: dist.Normal(linear(z), 1.0),
        r"plates; got batch shape \(6, 6\) in plates {'data': 6} \(\.to_event\(1\) is missing",
    ),
    "one number a row": (
        lambda z: dist.Normal(z[..., 0], 1.0),
        r"as wide as the data, \(6,\); got",
    ),
    "width 1": (lambda z: dist.Normal(z[..., :1], 1.0), r"got batch shape \(6, 6\) in plates"),
}


@pytest.mark.parametrize(("observed", "message"), SQUARE.values(), ids=SQUARE)
def test_as_many_rows_as_columns_hide_no_missing_event(observed, message):
    with pytest.raises(ValueError, match=message):
        check(model_of(observed), guide, torch.ones(6, 6)).raise_if_wrong()


def test_grey_data_under_bernoulli_are_told_how_to_be_binarised():
    grey = binary_rows()
    grey[2, 3] = 0.25
    message = (
        r"data at site 'x' must lie in the support of Bernoulli; got 0\.25 "
        r"\(grey data are binarised by --binarize dynamic\)"
    )
    with pytest.raises(ValueError, match=message):
        check(*binary_vae(), grey).raise_if_wrong()


def test_data_outside_of_another_support_are_refused():
    positive = model_of(lambda z: dist.Exponential(linear(z).exp()).to_event(1))
    with pytest.raises(ValueError, match="must lie in the support of Exponential; got -1"):
        check(positive, guide, X).raise_if_wrong()


def test_data_behind_a_mask_are_not_asked_for_their_support():
    mask = X >= 0
    positive = model_of(lambda z: dist.Exponential(linear(z).exp()).mask(mask).to_event(1))
    assert check(positive, guide, X).problems == []


def test_nan_in_the_data_is_counted():
    x = X.clone()
    x[1, 2:4] = float("nan")
    with pytest.raises(ValueError, match="data at site 'x' must be numbers; got 2 NaN"):
        check(model_of(gaussian), guide, x).raise_if_wrong()


def test_a_field_that_the_batch_lacks_is_named():
    def labelled(x, y):
        model_of(gaussian)(x)

    with pytest.raises(ValueError, match=r"model must ask for fields .*\['x'\]; got 'y'"):
        check(labelled, guide, {"x": X}).raise_if_wrong()


def test_a_network_that_nobody_made_known_leaves_nothing_to_train():
    net = nn.Linear(2, 6)
    message = (
        r"the pair must have a parameter that the objective reaches; got none "
        r"\(a plain function makes its networks known by pyro\.module\)"
    )
    with pytest.raises(ValueError, match=message):
        check(model_of(lambda z: gaussian(z, net)), nothing_to_train, X).raise_if_wrong()


def test_the_first_problem_is_the_one_that_is_raised():
    report = check(
        model_of(lambda z: dist.Normal(z[..., :1], 1.0).to_event(1)), square, torch.ones(2, 6)
    )
    assert len(report.problems) == 2
    with pytest.raises(ValueError) as refused:
        report.raise_if_wrong()
    assert str(refused.value) == report.problems[0]
    assert [f"wrong: {problem}" for problem in report.problems] == str(report).splitlines()[-2:]
