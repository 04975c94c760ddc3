"""One torch optimizer over all parameters, from what Pyro's users write."""

from functools import partial

import owners
import pyro
import pyro.infer
import pytest
import torch
from programs import binary_rows, binary_vae
from pyro.infer import Trace_ELBO
from torch.testing import assert_close

from ppvae import ELBO, SVI

METHODS = {
    "adam": pyro.optim.Adam,
    "sgd": pyro.optim.SGD,
    "adamw": pyro.optim.AdamW,
    "clipped-adam": pyro.optim.ClippedAdam,
}


def stepped(optim, build=binary_vae, steps=1, x=None):
    pyro.set_rng_seed(4)
    svi = SVI(*build(), optim, ELBO())
    for _ in range(steps):
        svi.step(binary_rows() if x is None else x)
    return svi


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_a_pyro_optim_becomes_one_optimizer_over_all_parameters(method):
    svi = stepped(method({"lr": 0.01}))
    (group,) = svi.optimizer.param_groups
    assert group["lr"] == 0.01
    assert {id(p) for p in group["params"]} == {id(p) for p in svi.pair.leaves.values()}


def test_adam_is_fused_unless_told_otherwise():
    assert stepped(pyro.optim.Adam({"lr": 0.01})).optimizer.defaults["fused"]
    told = stepped(pyro.optim.Adam({"lr": 0.01, "foreach": True})).optimizer
    assert not told.defaults["fused"] and told.param_groups[0]["foreach"]


def test_a_callable_makes_the_optimizer_of_its_choice():
    svi = stepped(partial(torch.optim.Adagrad, lr=0.02))
    assert type(svi.optimizer) is torch.optim.Adagrad
    (group,) = svi.optimizer.param_groups
    assert len(group["params"]) == len(svi.params)


def test_the_optimizer_can_be_made_before_the_first_step():
    svi = SVI(*binary_vae(), pyro.optim.Adam({"lr": 0.1}), ELBO())
    assert svi.optimizer is None
    prepared = svi.prepare()
    svi.step(binary_rows())
    assert svi.optimizer is prepared and len(prepared.state) == len(svi.params)


def test_parameters_met_later_join_the_optimizer():
    def model(x, late=False):
        weight = pyro.param("weight", torch.ones(2, 6))
        if late:
            weight = weight + pyro.param("late", torch.zeros(()))
        owners.generate(x, lambda z: z @ weight)

    def guide(x, late=False):
        owners.infer(x, lambda x: x[:, :2])

    svi, x = SVI(model, guide, pyro.optim.Adam({"lr": 0.1}), ELBO()), torch.randn(32, 6)
    svi.step(x)
    first = svi.optimizer
    svi.step(x, late=True)
    assert svi.optimizer is first
    assert svi.params["late"] != 0


def named_settings(seen):
    def settings(name):
        seen.append(name)
        return {"lr": 0.5 if "bias" in name else 0.0}

    return settings


def test_settings_may_depend_on_the_name():
    seen = []
    pyro.set_rng_seed(4)
    pair = binary_vae()
    before = {n: p.detach().clone() for part in pair for n, p in part.named_parameters()}
    SVI(*pair, pyro.optim.SGD(named_settings(seen)), ELBO()).step(binary_rows())
    moved = {n for part in pair for n, p in part.named_parameters() if not p.equal(before[n])}
    assert moved == {name for name in before if "bias" in name}


@pytest.mark.parametrize("build", [binary_vae, owners.functions_with_params, owners.pyro_params])
def test_settings_are_asked_for_the_names_that_pyro_uses(build):
    asked = []
    for kind, loss in ((SVI, ELBO()), (pyro.infer.SVI, Trace_ELBO())):
        seen = []
        pyro.clear_param_store()
        kind(*build(), pyro.optim.Adam(named_settings(seen)), loss).step(binary_rows(32))
        asked.append(set(seen))
    assert asked[0] == asked[1]


def test_settings_of_module_and_parameter_are_asked_as_pyro_does():
    asked = []
    for kind, loss in ((SVI, ELBO()), (pyro.infer.SVI, Trace_ELBO())):
        seen = []
        pyro.clear_param_store()

        def settings(module, parameter, seen=seen):
            seen.append((module, parameter))
            return {"lr": 0.01}

        pair = owners.functions_with_modules()[0], owners.functions_with_params()[1]
        kind(*pair, pyro.optim.Adam(settings), loss).step(binary_rows(32))
        asked.append(set(seen))
    assert asked[0] == asked[1]
    assert ("net", "weight") in asked[0]


@pytest.mark.parametrize("clip", [{"clip_norm": 0.01}, {"clip_value": 0.01}], ids=str)
def test_gradients_are_clipped_as_pyro_clips_them(clip):
    final = []
    for kind, loss in ((SVI, ELBO()), (pyro.infer.SVI, Trace_ELBO())):
        pyro.clear_param_store()
        pyro.set_rng_seed(4)
        pair, x = binary_vae(), binary_rows()
        svi = kind(*pair, pyro.optim.SGD({"lr": 0.1}, clip), loss)
        for _ in range(3):
            svi.step(x)
        final.append([p.detach() for part in pair for p in part.parameters()])
    assert_close(*final, rtol=0, atol=1e-12)


def test_clipping_may_depend_on_the_name():
    optim = pyro.optim.SGD({"lr": 1.0}, lambda name: {"clip_value": 0.0} if "bias" in name else {})
    pyro.set_rng_seed(4)
    pair = binary_vae()
    before = {n: p.detach().clone() for part in pair for n, p in part.named_parameters()}
    SVI(*pair, optim, ELBO()).step(binary_rows())
    moved = {n for part in pair for n, p in part.named_parameters() if not p.equal(before[n])}
    assert moved == {name for name in before if "bias" not in name}


def test_a_schedule_of_pyros_is_driven_by_its_own_step():
    settings = {"optimizer": torch.optim.SGD, "optim_args": {"lr": 1.0}, "gamma": 0.5}
    schedule = pyro.optim.ExponentialLR(settings)
    svi = stepped(schedule)
    rates = []
    for _ in range(3):
        rates.append(svi.optimizer.param_groups[0]["lr"])
        schedule.step()
    assert rates == [1.0, 0.5, 0.25]


def test_a_schedule_trains_as_under_pyros_svi():
    final = []
    for kind, loss in ((SVI, ELBO()), (pyro.infer.SVI, Trace_ELBO())):
        pyro.clear_param_store()
        pyro.set_rng_seed(4)
        pair, x = binary_vae(), binary_rows()
        settings = {"optimizer": torch.optim.Adam, "optim_args": {"lr": 0.1}, "gamma": 0.5}
        schedule = pyro.optim.ExponentialLR(settings)
        svi = kind(*pair, schedule, loss)
        for _ in range(4):
            svi.step(x)
            schedule.step()
        final.append([p.detach() for part in pair for p in part.parameters()])
    assert_close(*final, rtol=0, atol=1e-7)


@pytest.mark.parametrize("optim", [None, "adam", torch.optim.SGD([torch.zeros(1)], lr=1.0)])
def test_what_makes_no_optimizer_is_refused(optim):
    match = r"optim must be a pyro\.optim object or a callable .* got (NoneType|str|SGD)\."
    with pytest.raises(TypeError, match=match):
        SVI(*binary_vae(), optim, ELBO())


def test_several_optimizers_in_one_are_refused():
    several = pyro.optim.multi.MixedMultiOptimizer([(["a"], pyro.optim.Adam({"lr": 0.1}))])
    with pytest.raises(TypeError, match=r"optim must be .* got MixedMultiOptimizer\."):
        SVI(*binary_vae(), several, ELBO())
