"""Blocks of parameters, and what the bench of gradients refuses in one sentence."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from programs import binary_rows, binary_vae, rows
from torch import nn

import ppvae
from ppvae import ELBO, IWAE

quiet = {"num_timed": 0, "progress": False}


def bench(estimators=None, num_draws=4, pair=None, **settings):
    chosen = [ELBO()] if estimators is None else estimators
    return ppvae.gradients(
        pair or binary_vae(), binary_rows(), chosen, num_draws, **quiet | settings
    )


def test_groups_are_blocks_of_their_own():
    groups = {"biases": ["*.bias"], "encoder": ["guide.encoder"]}
    found = bench(groups=groups)
    assert found["block"].values.tolist() == ["model", "guide", "biases", "encoder"]
    both = found.isel(estimator=0)["variance"]
    assert float(both.sel(block="encoder")) == pytest.approx(float(both.sel(block="guide")))
    sizes = found["num_parameters"]
    assert sizes.values.tolist() == [2 * 4 + 4 + 4 * 6 + 6, 6 * 4 + 4 + 4 * 4 + 4, 18, 48]


def test_a_parameter_of_both_programs_is_in_both_blocks():
    shared = nn.Parameter(torch.ones(2))

    def model(x):
        with rows(x):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            weight = pyro.param("shared", shared)
            pyro.sample("x", dist.Normal(z * weight, 1.0).to_event(1), obs=x)

    def guide(x):
        weight = pyro.param("shared", shared)
        with rows(x):
            pyro.sample("z", dist.Normal(x * weight, 1.0).to_event(1))

    found = ppvae.gradients((model, guide), torch.randn(3, 2), [ELBO()], 4, **quiet)
    assert found["block"].values.tolist() == ["model", "guide"]
    assert found["num_parameters"].values.tolist() == [2, 2]


REFUSED = {
    "one draw": ({"num_draws": 1}, "num_draws must be at least 2; got 1."),
    "no estimator": ({"estimators": []}, "estimators must be at least one; got none."),
    "twice": ({"estimators": [IWAE(2), IWAE(2)]}, "estimators must differ; got 'iwae:2' twice."),
    "clock": ({"num_timed": -1}, "num_timed must be at least 0; got -1."),
    "unknown group": (
        {"groups": {"odd": ["guide.nothing"]}},
        "group 'odd' must hold parameters of the pair, model.* got 'guide.nothing'.",
    ),
    "bare group": ({"groups": {"odd": "guide"}}, "group 'odd' must be a list of names; got"),
    "named as a block": ({"groups": {"model": ["*"]}}, "must not be called model or guide; got"),
}


@pytest.mark.parametrize("settings, message", REFUSED.values(), ids=REFUSED)
def test_bad_input_is_refused_in_one_sentence(settings, message):
    with pytest.raises(ValueError, match=message):
        bench(**settings)


def test_other_kinds_are_refused():
    with pytest.raises(TypeError, match="estimators must be ELBOs; got str"):
        bench(["elbo"])
    with pytest.raises(TypeError, match=r"source must be .* \(model, guide\); got str"):
        bench(pair="vae")


def test_a_pair_without_parameters_is_refused():
    def model(x):
        with rows(x):
            z = pyro.sample("z", dist.Normal(torch.zeros(()), 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x):
        with rows(x):
            pyro.sample("z", dist.Normal(torch.zeros(()), 1.0))

    with pytest.raises(ValueError, match="the pair must have a parameter; got none"):
        ppvae.gradients((model, guide), torch.zeros(3), [ELBO()], 4, **quiet)


def test_a_gradient_that_is_not_finite_is_named():
    steep = nn.Parameter(torch.zeros(2))

    def guide(x):
        with rows(x):
            loc = pyro.param("steep", steep).sqrt().expand(len(x), 2)
            pyro.sample("z", dist.Normal(loc, 1.0).to_event(1))

    message = "gradients of elbo must be finite; got NaN or infinity in 'steep'."
    with pytest.raises(ppvae.NotFiniteError, match=message):
        bench(pair=(binary_vae()[0], guide))


def test_what_an_estimator_refuses_is_refused_before_any_is_drawn(monkeypatch):
    logits = nn.Parameter(torch.zeros(6))

    def model(x):
        with rows(x):
            pyro.sample("z", dist.Bernoulli(torch.full((6,), 0.5)).to_event(1))
            pyro.sample("x", dist.Bernoulli(torch.full((6,), 0.5)).to_event(1), obs=x)

    def guide(x):
        with rows(x):
            pyro.sample("z", dist.Bernoulli(logits=pyro.param("l", logits)).to_event(1))

    with pytest.raises(ValueError, match="needs reparameterized or enumerated sites"):
        bench([IWAE(2)], pair=(model, guide))
