"""check: what it says of a good pair, and the words for everything that can be wrong with one."""


import pyro
import pyro.distributions as dist
import pyro.distributions.transforms as transforms
import pytest
import torch
from programs import binary_rows, binary_vae, labelled_pair, rows, standard_normal
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


def problem(model, guide=guide, batch=X):
    report = check(model, guide, batch)
    with pytest.raises(ValueError) as refused:
        report.raise_if_wrong()
    assert str(refused.value) == report.problems[0]
    assert f"wrong: {report.problems[0]}" in str(report)
    return report.problems[0]


def only_remark(model, guide=guide, batch=X):
    report = check(model, guide, batch)
    report.raise_if_wrong()
    (remark,) = report.remarks
    assert f"note: {remark}" in str(report)
    return remark


def test_a_good_pair_is_described_site_by_site():
    assert str(check(*binary_vae(), binary_rows())).splitlines() == [
        "model 'z' (latent, Normal): plate data 5 at -1; batch (5,), event (2,)",
        "model 'x' (observed, Bernoulli): plate data 5 at -1; batch (5,), event (6,)",
        "guide 'z' (latent, Normal): plate data 5 at -1; batch (5,), event (2,)",
        "nothing wrong was found",
    ]


def planar():
    flow = transforms.Planar(2)

    def guide(x):
        pyro.module("flow", flow)
        with rows(x):
            base = standard_normal(2).expand([len(x)])
            pyro.sample("z", dist.TransformedDistribution(base, [flow]))

    return model_of(gaussian), guide


GOOD = {
    "labels": (lambda: (labelled_pair().model, with_param(labelled_pair().guide)), X[:, :4]),
    "named params": (line_pair, X[:, :1]),
    "dropout": (restless_pair, binary_rows().double()),
    "positional": (lambda: binary_vae(), (binary_rows(),)),
    "fields": (lambda: binary_vae(), {"x": binary_rows(), "y": torch.zeros(5)}),
    "planar flow": (planar, X),
}


def with_param(program):
    def with_one(x):
        pyro.param("scale", torch.tensor(1.0))
        program(x)

    return with_one


@pytest.mark.parametrize(("make", "batch"), GOOD.values(), ids=GOOD)
def test_a_good_pair_has_no_problem(make, batch):
    assert check(*make(), batch).problems == []


def bare(x):
    pyro.param("loc", torch.zeros(2))
    with rows(x):
        pyro.sample("z", dist.Normal(torch.zeros(len(x), 2), 1.0))


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
        r"inside plate\('data'\) at site z dim -1, 5 vs 2 \(\.to_event\(1\) is missing, or a plate\)",
    ),
    "to_event in the model": (
        (model_of(lambda z: dist.Normal(linear(z), 1.0)), guide),
        r"inside plate\('data'\) at site x dim -1, 5 vs 6 \(\.to_event\(1\) is missing, or a plate\)",
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
    "no observed site": ((guide, guide), "model must observe the data at a site; got none|no obs"),
    "nothing to train": (
        (model_of(gaussian), lambda x: rows_only(x)),
        "the pair must have a parameter to train; got none",
    ),
    "an error of a network": ((model_of(lambda z: gaussian(z, raising)), guide), "mine is broken"),
    "shapes": (
        (model_of(lambda z: gaussian(z, lambda z: z @ torch.ones(3, 6))), guide),
        "cannot be multiplied",
    ),
}


def rows_only(x):
    with rows(x):
        pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1).expand([len(x)]))


@pytest.mark.parametrize(("pair", "message"), PROBLEMS.values(), ids=PROBLEMS)
def test_each_problem_has_its_words(pair, message):
    with pytest.raises(ValueError, match=message):
        check(*pair, X).raise_if_wrong()


def test_a_square_batch_hides_no_missing_event():
    message = r"batch dimensions that are plates; got batch shape \(6, 6\) in plates {'data': 6}"
    with pytest.raises(ValueError, match=message):
        check(
            model_of(lambda z: dist.Normal(linear(z), 1.0)), guide, torch.ones(6, 6)
        ).raise_if_wrong()
