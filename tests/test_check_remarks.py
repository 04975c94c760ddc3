"""check: what is allowed and may not be meant, what mixes particles, and a pair left as it was."""

import random
from functools import partial

import numpy
import pyro
import pyro.distributions as dist
import pytest
import torch
from programs import binary_rows, binary_vae, rows, standard_normal
from pyro import poutine
from torch import nn
from trainings import restless_pair, values_of

from ppvae import Pair, check

X = torch.linspace(-1.0, 1.0, 30, dtype=torch.float64).reshape(5, 6)


def linear(z):
    return z @ torch.ones(2, 6)


def model_with(decode=linear, scale=1.0):
    def model(x):
        with rows(x):
            with poutine.scale(scale=scale):
                z = pyro.sample("z", standard_normal(2))
            pyro.sample("x", dist.Normal(decode(z), 1.0).to_event(1), obs=x)

    return model


def guide(x, width=2):
    loc = pyro.param("loc", torch.zeros(width))
    with rows(x):
        pyro.sample("z", dist.Normal(loc, 1.0).to_event(1).expand([len(x)]))


def remarks(model, guide=guide):
    report = check(model, guide, X)
    report.raise_if_wrong()
    notes = [f"note: {remark}" for remark in report.remarks]
    assert str(report).splitlines() == [*report.sites, *notes, "nothing wrong was found"]
    return report.remarks


def test_a_network_that_is_reached_and_not_trained_is_remarked():
    assert remarks(model_with(nn.Linear(2, 6))) == [
        "a gradient reaches parameters of shape (6, 2), (6,) that are not trained "
        "(pyro.module makes a network known; requires_grad_(False) keeps it fixed)"
    ]


def test_a_network_held_fixed_on_purpose_is_not_remarked():
    assert remarks(model_with(nn.Linear(2, 6).requires_grad_(False))) == []


def test_parameters_that_no_gradient_reaches_are_remarked():
    def idle(x):
        for number in range(6):
            pyro.param(f"idle{number}", torch.tensor(1.0))
        guide(x)

    expected = "no gradient reaches idle0, idle1, idle2, idle3 and 2 more"
    assert remarks(model_with(), idle) == [expected]


def test_a_scale_on_one_side_only_is_remarked():
    # beta, forgotten in the guide: the prior is weighed and the posterior is not.
    words = "site 'z' is scaled by 4 in the model and by 1 in the guide"
    assert remarks(model_with(scale=4.0)) == [f"{words}, so that the objective is no ELBO"]


def test_a_scale_on_both_sides_is_not_remarked():
    assert remarks(model_with(scale=4.0), poutine.scale(guide, scale=4.0)) == []


def test_the_size_of_a_plate_that_subsamples_is_told():
    def of_a_thousand(program):
        def subsampled(x):
            with pyro.plate("data", 1000, subsample_size=len(x), dim=-1):
                program(x)

        return subsampled

    def model(x):
        z = pyro.sample("z", standard_normal(2))
        pyro.sample("x", dist.Normal(linear(z), 1.0).to_event(1), obs=x)

    def inner_guide(x):
        loc = pyro.param("loc", torch.zeros(2))
        pyro.sample("z", dist.Normal(loc, 1.0).to_event(1))

    assert check(of_a_thousand(model), of_a_thousand(inner_guide), X).full_size == 1000
    assert check(model_with(), guide, X).full_size is None


def mixing(width):
    """A decoder whose batch norm takes the rows of (K, B, D) for features, if B is D."""
    norm, out = nn.BatchNorm1d(width), nn.Linear(width, 6)

    def model(x):
        pyro.module("norm", norm)
        pyro.module("out", out)
        with rows(x):
            z = pyro.sample("z", standard_normal(width))
            pyro.sample("x", dist.Normal(out(norm(z)), 1.0).to_event(1), obs=x)

    return model, partial(guide, width=width)


def test_a_layer_that_mixes_particles_is_found():
    message = (
        r"site 'x' must score two particles as it scores each alone; it does not "
        r"\(a layer mixes particles or rows, such as BatchNorm1d on \(K, B, D\)\)"
    )
    with pytest.raises(ValueError, match=message):
        check(*mixing(5), X).raise_if_wrong()


def test_a_decoder_that_takes_the_mean_over_its_first_dimension_is_found():
    with pytest.raises(ValueError, match="site 'x' must score two particles as it scores each"):
        check(model_with(lambda z: linear(z) - linear(z).mean(0)), guide, X).raise_if_wrong()


def test_a_layer_that_takes_one_particle_only_is_no_problem():
    model, guide = mixing(4)
    assert check(model, guide, X).problems == []


def test_whether_a_pair_takes_two_particles_is_left_for_those_who_draw_them():
    pair = Pair(*mixing(4))
    check(pair.model, pair.guide, X)
    assert pair.scope.vectorized is None


def state_of(pair):
    modules = [module for each in pair.modules.values() for module in each.modules()]
    generators = torch.get_rng_state().tolist(), random.getstate()
    arrays = [numpy.asarray(part).tolist() for part in numpy.random.get_state()]
    return [module.training for module in modules], generators, arrays


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("make", [restless_pair, binary_vae, partial(mixing, 4)])
def test_a_pair_is_left_as_it_was(make, training):
    pair, x = Pair(*make()), binary_rows()
    # Its first run draws what named params begin with.
    check(pair.model, pair.guide, x)
    pair.train(training)
    values, state = values_of(pair), state_of(pair)
    check(pair.model, pair.guide, x)
    assert state_of(pair) == state
    after = values_of(pair)
    assert all(torch.equal(value, after[name]) for name, value in values.items())
    assert all(leaf.grad is None for leaf in pair.leaves.values())


def test_a_gradient_that_was_there_is_left_alone():
    pair = Pair(*binary_vae())
    for leaf in pair.leaves.values():
        leaf.grad = torch.full_like(leaf, 3.0)
    check(pair.model, pair.guide, binary_rows())
    assert all(bool((leaf.grad == 3.0).all()) for leaf in pair.leaves.values())
