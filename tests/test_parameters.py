"""Parameters belong to the pair: however they are owned, they train, and nobody else's move."""

from dataclasses import dataclass

import owners
import pyro
import pyro.distributions as dist
import pytest
import torch
from owners import OWNERS
from programs import binary_rows, binary_vae, rows
from pyro.infer import Trace_ELBO
from pyro.nn import PyroModule
from torch import nn
from torch.testing import assert_close

from ppvae import ELBO, IWAE, SVI, Pair, log_terms

LOSSES = {"trace-elbo": Trace_ELBO, "elbo": ELBO, "iwae": lambda: IWAE(5)}
every_owner = pytest.mark.parametrize("build", OWNERS.values(), ids=OWNERS)
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)


def adam(lr=0.05):
    return pyro.optim.Adam({"lr": lr})


def snapshot(svi):
    return {name: value.detach().clone() for name, value in svi.params.items()}


@every_owner
@every_loss
def test_every_parameter_trains_twice_in_a_row(build, loss):
    x = torch.randn(32, 6) + 1
    for _ in range(2):
        svi = SVI(*build(), adam(lr=0.1), loss())
        first = [svi.step(x) for _ in range(3)]
        before = snapshot(svi)
        last = [svi.step(x) for _ in range(12)][-3:]
        assert sum(last) < sum(first)
        after = svi.params
        assert before.keys() == after.keys() and len(after) >= 3
        assert not [name for name in after if torch.equal(after[name], before[name])]


@every_owner
def test_the_global_store_stays_empty(build):
    SVI(*build(), adam(), ELBO()).step(torch.randn(32, 6))
    assert not list(pyro.get_param_store())


@every_owner
def test_a_second_svi_goes_on_from_where_the_first_stopped(build):
    pair, x = build(), torch.randn(32, 6)
    first = SVI(*pair, adam(), ELBO())
    for _ in range(3):
        first.step(x)
    reached = snapshot(first)
    second = SVI(*pair, adam(), ELBO())
    assert_close(snapshot(second), reached, rtol=0, atol=0)
    second.step(x)
    assert not [name for name, p in first.params.items() if torch.equal(p, reached[name])]


def test_networks_of_one_name_in_two_pairs_are_two():
    x = torch.randn(32, 6)
    trained, other = (SVI(*owners.functions_with_modules(), adam(), ELBO()) for _ in range(2))
    other.step(x)
    before = snapshot(other)
    trained.step(x)
    assert_close(snapshot(other), before, rtol=0, atol=0)
    assert not any(p is q for p in trained.params.values() for q in other.params.values())


def test_named_params_of_two_pairs_are_two():
    x = torch.randn(32, 6)
    trained, other = (SVI(*owners.functions_with_params(), adam(), ELBO()) for _ in range(2))
    other.step(x)
    before = snapshot(other)
    assert before.keys() == {"weight", "slope", "scale"}
    trained.step(x)
    assert_close(snapshot(other), before, rtol=0, atol=0)


def test_params_in_the_global_store_are_neither_read_nor_written():
    pyro.param("weight", torch.zeros(2, 6))
    svi = SVI(*owners.functions_with_params(), adam(), ELBO())
    svi.step(torch.randn(32, 6))
    assert svi.params["weight"].abs().min() > 0
    assert list(pyro.get_param_store()) == ["weight"]
    assert pyro.param("weight").abs().max() == 0


def test_a_constrained_param_is_shown_as_the_programs_see_it():
    svi = SVI(*owners.functions_with_params(), adam(lr=1.0), ELBO())
    for _ in range(5):
        svi.step(torch.randn(32, 6))
    assert svi.params["scale"] > 0
    model, guide = owners.pyro_params()
    svi = SVI(model, guide, adam(lr=1.0), ELBO())
    svi.step(torch.randn(32, 6))
    assert_close(svi.params["guide.scale"], guide.scale)


def test_a_network_shared_by_model_and_guide_is_one_parameter():
    class Model(PyroModule):
        def __init__(self, net):
            super().__init__()
            self.net = net

        def forward(self, x):
            owners.generate(x, lambda z: z @ self.net.weight)

    class Guide(Model):
        def forward(self, x):
            owners.infer(x, self.net)

    shared = nn.Linear(6, 2)
    svi = SVI(Model(shared), Guide(shared), adam(), ELBO())
    svi.step(torch.randn(32, 6))
    assert list(svi.params) == ["model.net.weight", "model.net.bias"]
    assert sum(len(group["params"]) for group in svi.optimizer.param_groups) == 2


def test_a_frozen_parameter_stays():
    model, guide = binary_vae()
    # In training mode Pyro warns of parameters that are not trained.
    model.train(False)
    for p in model.parameters():
        p.requires_grad_(False)
    before = [p.clone() for p in model.parameters()]
    svi = SVI(model, guide, adam(), ELBO())
    svi.step(binary_rows())
    assert all(name.startswith("guide.") for name in svi.params)
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), before, strict=True))


def test_pairs_that_compare_equal_have_parameters_of_their_own():
    @dataclass
    class Linear:
        width: int

        def model(self, x):
            slope = pyro.param("slope", lambda: torch.randn(self.width))
            with rows(x):
                z = pyro.sample("z", dist.Normal(torch.zeros(()), 1.0))
                loc = z.unsqueeze(-1) * slope
                pyro.sample("x", dist.Normal(loc, 1.0).to_event(1), obs=x)

        def guide(self, x):
            with rows(x):
                pyro.sample("z", dist.Normal(x.mean(-1), 0.5))

    one, two = Linear(6), Linear(6)
    assert one == two
    first, second = (SVI(p.model, p.guide, adam(), ELBO()) for p in (one, two))
    first.step(torch.randn(32, 6))
    assert list(first.params) == ["slope"] and not second.params


def test_a_parameter_made_anew_at_each_call_is_refused():
    def model(x):
        decoder = pyro.module("net", nn.Linear(2, 6))
        owners.generate(x, decoder)

    svi = SVI(model, owners.plain_modules()[1], adam(), ELBO())
    match = r"pyro\.param 'net\$\$\$weight' must name the same nn\.Parameter in every run"
    with pytest.raises(ValueError, match=match):
        for _ in range(2):
            svi.step(torch.randn(32, 6))


def unannounced():
    """Plain functions whose networks nobody makes known."""
    decoder, encoder = nn.Linear(2, 6), nn.Linear(6, 2)
    return lambda x: owners.generate(x, decoder), lambda x: owners.infer(x, encoder)


def bare():
    weight = torch.randn(2, 6)
    return lambda x: owners.generate(x, lambda z: z @ weight), lambda x: owners.infer(
        x, lambda x: x[:, :2]
    )


def detached():
    """A parameter that is known, but that the loss does not reach."""

    def model(x):
        weight = pyro.param("weight", torch.randn(2, 6))
        owners.generate(x, lambda z: z @ weight.detach())

    return model, bare()[1]


@every_loss
@pytest.mark.parametrize("build", [unannounced, bare, detached])
def test_a_pair_in_which_nothing_would_move_is_refused(build, loss):
    svi = SVI(*build(), adam(), loss())
    with pytest.raises(ValueError, match=r"loss must reach a parameter of the pair; got none"):
        svi.step(torch.randn(32, 6))


def test_later_noise_does_not_repeat_the_stream_that_drew_a_named_param():
    def model(x):
        with rows(x):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z, 1.0).to_event(1), obs=x)

    def guide(x):
        loc = pyro.param("loc", lambda: torch.randn(len(x), 2))
        with rows(x):
            pyro.sample("z", dist.Normal(loc, 1.0).to_event(1))

    pyro.set_rng_seed(0)
    terms = log_terms(model, guide, torch.zeros(50, 2))
    noise = terms.values["z"][0] - Pair(model, guide).params["loc"]
    assert not torch.isclose(noise, Pair(model, guide).params["loc"]).any()
