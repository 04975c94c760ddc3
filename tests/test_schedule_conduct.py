"""Only a training step advances a schedule or teaches a multiplier; fit, resume and compare."""

import functools
import importlib
import math

import pyro
import pyro.infer
import pytest
import torch
from programs import binary_rows, binary_vae, rows, standard_normal
from torch import nn
from trainings import assert_same_history, assert_same_values, line_data, line_pair, quiet

from ppvae import (
    SVI,
    BetaELBO,
    CapacityELBO,
    ConstrainedELBO,
    Estimator,
    Experiment,
    NotFiniteError,
    Pair,
    Schedule,
    check,
    compare,
    evaluate,
)
from ppvae.compare.measure import HeldOut
from ppvae.data import load
from ppvae.experiment import find_recipe
from ppvae.explain import explained
from ppvae.state import held_out_bound

ADAM = functools.partial(torch.optim.Adam, lr=0.01)
# Line data: five steps an epoch.
DATA = line_data()


def warm_up(**length):
    return BetaELBO(Schedule(0.0, 1.0, **(length or {"steps": 40})))


def state_of(estimator):
    return {name: tensor.clone() for name, tensor in estimator.state_dict().items()}


def assert_unmoved(estimator, before):
    after = estimator.state_dict()
    different = [
        n for n in before if not torch.equal(before[n].nan_to_num(), after[n].nan_to_num())
    ]
    assert not different


LEARNING = {"warm-up": warm_up, "multiplier": lambda: ConstrainedELBO(kl=0.1)}
learning = pytest.mark.parametrize("make", LEARNING.values(), ids=LEARNING)


@pytest.mark.parametrize("kind", [SVI, pyro.infer.SVI, "torch"])
def test_every_training_step_advances_a_schedule_by_one(kind):
    (model, guide), x, estimator = binary_vae(), binary_rows(), warm_up()
    for _ in range(3):
        if kind == "torch":
            estimator(model, guide)(x)
        else:
            kind(model, guide, pyro.optim.Adam({"lr": 0.01}), estimator).step(x)
    assert int(estimator.beta.step) == 3


def without_gradients(estimator, model, guide, x):
    with torch.no_grad():
        estimator.differentiable_loss(model, guide, x)


def held_out_curve(estimator, model, guide, x):
    with torch.no_grad():
        HeldOut({"x": x}, looks={0})(Pair(model, guide))


def at_rest(estimator, model, guide, x):
    estimator.eval()
    estimator.differentiable_loss(model, guide, x).backward()


LOOKS = {
    "evaluate_loss": lambda e, m, g, x: SVI(m, g, ADAM, e).evaluate_loss(x),
    "evaluate_loss of Pyro": lambda e, m, g, x: pyro.infer.SVI(
        m, g, pyro.optim.Adam({}), e
    ).evaluate_loss(x),
    "loss": lambda e, m, g, x: e.loss(m, g, x),
    "bound": lambda e, m, g, x: e.bound(e.terms(m, g, x)),
    "surrogate": lambda e, m, g, x: e.surrogate(e.terms(m, g, x)).sum().backward(),
    "without gradients": without_gradients,
    "at rest": at_rest,
    "check": lambda e, m, g, x: check(m, g, x),
    "held-out bound": lambda e, m, g, x: held_out_bound(SVI(m, g, ADAM, e), {"x": x}),
    "held-out curve": held_out_curve,
    "evaluate": lambda e, m, g, x: evaluate(
        Experiment(m, g, estimator=e), {"x": x}, num_particles=3
    ),
    "figures": lambda e, m, g, x: e.figures(),
    "prepare": lambda e, m, g, x: SVI(m, g, ADAM, e).prepare(),
}


@learning
@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_a_look_advances_no_schedule_and_teaches_nothing(make, look):
    (model, guide), x, estimator = binary_vae(), binary_rows(), make()
    estimator.differentiable_loss(model, guide, x)
    before = state_of(estimator)
    look(estimator, model, guide, x)
    assert_unmoved(estimator, before)


@learning
def test_fit_teaches_a_copy_that_its_run_keeps(make):
    estimator = make()
    before = state_of(estimator)
    run = quiet(line_pair(1.0), DATA, estimator=estimator, epochs=2)
    assert_unmoved(estimator, before)
    assert repr(run.estimator) == repr(estimator) and run.estimator is not estimator


def test_two_fits_of_one_estimator_are_the_same():
    estimator = warm_up(fraction=0.5)
    first, second = (quiet(line_pair(1.0), DATA, estimator=estimator, epochs=2) for _ in range(2))
    assert_same_history(first, second)
    assert_same_values(first.pair, second.pair)


def test_what_an_estimator_shares_with_the_pair_stays_shared():
    class Sharing(Estimator):
        def __init__(self, part):
            super().__init__()
            self.part = part

        def bound(self, terms):
            return terms.log_weight.mean(0) + self.part.weight.sum()

    encoder = nn.Linear(1, 1)

    def model(x):
        with rows(x):
            z = pyro.sample("z", standard_normal(1))
            pyro.sample("x", pyro.distributions.Normal(z, 1.0).to_event(1), obs=x)

    def guide(x):
        pyro.module("encoder", encoder)
        with rows(x):
            pyro.sample("z", pyro.distributions.Normal(encoder(x), 1.0).to_event(1))

    run = quiet((model, guide), DATA, estimator=Sharing(encoder), steps=1)
    assert run.estimator.part is encoder


def test_a_run_advances_a_schedule_by_its_steps_alone():
    run = quiet(line_pair(1.0), DATA, estimator=warm_up(), epochs=3, watch=lambda pair: {"seen": 1})
    assert int(run.estimator.beta.step) == int(run.history["step"][-1]) == 15


def test_the_history_has_the_figures_of_each_epoch_beside_the_true_bound():
    history = quiet(line_pair(1.0), DATA, estimator=warm_up(fraction=0.5), epochs=4).history
    assert list(history)[:5] == ["step", "seconds", "train_bound", "beta", "objective"]
    assert history["beta"].values.tolist() == [0.0, 0.5, 1.0, 1.0, 1.0]
    assert history["beta"].attrs["units"] == "1"
    assert history["objective"].attrs["units"] == "nats per datum"
    assert math.isnan(history["objective"][0])


def test_the_bounds_of_the_history_are_elbos_whatever_is_followed():
    # At the exact posterior every weight is log p(x), and a pair that stands still has no other.
    settings = {"epochs": 2, "lr": 1e-300}
    plain = quiet(line_pair(), DATA, **settings).history
    other = quiet(line_pair(), DATA, estimator=CapacityELBO(1e6, 3.0), **settings).history
    for name in ("train_bound", "valid_bound"):
        assert plain[name].equals(other[name])


def test_a_figure_by_the_name_of_a_bound_is_refused():
    class Clashing(Estimator):
        def bound(self, terms):
            return terms.log_weight.mean(0)

        def figures(self):
            return {"train_bound": torch.zeros(())}

    with pytest.raises(ValueError, match="must have names of their own; got 'train_bound'"):
        quiet(line_pair(), DATA, estimator=Clashing(), epochs=1)


def test_a_run_that_ends_before_its_schedule_says_so():
    run = quiet(line_pair(1.0), DATA, estimator=warm_up(steps=40), epochs=2)
    assert run.note == (
        "the run ended before its schedule: at 0.25 after 10 of 40 steps, on the way from 0 to 1"
    )
    assert run.note in repr(run)
    assert quiet(line_pair(1.0), DATA, estimator=warm_up(steps=10), epochs=2).note is None


def test_a_training_that_is_gone_over_again_is_left_at_its_last_good_state(monkeypatch):
    seen = []

    def spy(training, *rest):
        found = explained(training, *rest)
        seen.append((training.step, int(training.svi.loss.beta.step)))
        return found

    monkeypatch.setattr(importlib.import_module("ppvae.fit"), "explained", spy)
    sgd = functools.partial(torch.optim.SGD, lr=1e200)
    with pytest.raises(NotFiniteError, match="is not finite in step"):
        quiet(line_pair(1.0), DATA, estimator=warm_up(steps=1), optim=sgd, epochs=2)
    assert seen == [(0, 0)]


def test_the_first_steps_of_a_comparison_count_for_no_run():
    estimator = warm_up(steps=12)
    settings = {"seeds": (0, 1), "steps": 3, "points": 1, "num_particles": 5, "device": "cpu"}
    found = compare(
        find_recipe("vae"), load("digits"), estimators=[estimator], progress=False, **settings
    )
    assert int(estimator.beta.step) == 0
    assert found.notes == [
        "BetaELBO(beta=Schedule(0.0, 1.0, steps=12), num_particles=1, analytic_kl=False): the run "
        "ended before its schedule: at 0.25 after 3 of 12 steps, on the way from 0 to 1"
    ]
