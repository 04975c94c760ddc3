"""A graph is trusted as long as it gives what Python gives, and where torch has what it takes."""

import functools

import pyro
import pyro.distributions as dist
import pytest
import torch
from captured import adam, trained
from programs import binary_rows, binary_vae, rows, standard_normal
from torch import nn

import ppvae
from ppvae.capture import captured as policy
from ppvae.capture import internals


def batches():
    torch.manual_seed(0)
    return [{"x": binary_rows()} for _ in range(2)]


def test_a_spot_check_finds_what_guards_cannot_see(monkeypatch):
    monkeypatch.setattr(policy, "_SPOT_CHECK", 5)
    hidden = iter([1.0] * 8 + [2.0] * 100)
    net = nn.Linear(6, 2)

    def guide(x):
        pyro.module("net", net)
        scale = next(hidden)
        with rows(x):
            pyro.sample("z", dist.Normal(net(x), scale).to_event(1))

    def model(x):
        with rows(x):
            z = pyro.sample("z", standard_normal(2))
            pyro.sample("x", dist.Normal(z.sum(-1, keepdim=True), 1.0).to_event(1), obs=x)

    svi = ppvae.SVI(model, guide, adam, ppvae.ELBO(), compile="replay")
    x = torch.randn(5, 6)
    with pytest.warns(UserWarning, match="since run as a graph its numbers differ"):
        for _ in range(40):
            svi.update(x)
    assert svi.how == "eager"


def test_where_torch_or_pyro_have_moved_each_step_runs_as_python(monkeypatch):
    def moved():
        raise ImportError("cannot import name 'Dice'")

    monkeypatch.setattr(internals, "_dice", moved)
    losses, _, _ = trained(binary_vae, ppvae.ELBO, "off", batches())
    with pytest.warns(UserWarning, match="torch or Pyro has moved what a capture takes"):
        captured, _, svi = trained(binary_vae, ppvae.ELBO, "replay", batches())
    assert svi.how == "eager"
    assert torch.equal(losses, captured)


def test_what_capture_takes_from_torch_and_pyro_is_there():
    assert internals.unavailable() is None


def test_a_mode_that_is_none_is_refused():
    with pytest.raises(ValueError, match="compile must be one of auto, replay, inductor, off; got"):
        ppvae.SVI(*binary_vae(), adam, ppvae.ELBO(), compile="fast")


@pytest.mark.parametrize("mode", ["off", "replay"])
def test_a_loss_that_is_not_finite_names_the_site_once(mode):
    model, guide = binary_vae()
    svi = ppvae.SVI(model, guide, adam, ppvae.IWAE(3), compile=mode)
    x = binary_rows()
    for _ in range(5):
        svi.step(x)
    with torch.no_grad():
        guide.encoder.layers[-1].bias[0] = torch.nan
    with pytest.warns(UserWarning, match="the loss is nan in step 6: site 'z' of the guide") as all:
        for _ in range(3):
            svi.step(x)
    assert len(all) == 1


def test_the_step_that_is_not_finite_is_looked_at_with_its_own_noise():
    net = nn.Linear(1, 1)

    def guide(x):
        pyro.module("net", net)
        with rows(x):
            pyro.sample("z", dist.Normal(net(x), 1.0).to_event(1))

    def model(x):
        with rows(x):
            z = pyro.sample("z", standard_normal(1))
            # Rarely the square root of a number below zero.
            pyro.sample("x", dist.Normal((z + 2.3).sqrt(), 1.0).to_event(1), obs=x)

    svi = ppvae.SVI(model, guide, functools.partial(torch.optim.SGD, lr=0.0), ppvae.ELBO())
    with pytest.warns(UserWarning, match="the loss is nan in step .*: site 'x' of the model"):
        losses = [svi.step(torch.zeros(4, 1)) for _ in range(200)]
    # Another draw would most often be finite.
    assert 0 < sum(loss != loss for loss in losses) < 100
