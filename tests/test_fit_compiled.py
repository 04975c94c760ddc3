"""Runs whose steps are replayed or compiled: the same numbers, wherever they are stopped."""

import math

import pyro
import pyro.distributions as dist
import pyro.infer
import pytest
import torch
from captured import OLD_INDUCTOR
from programs import rows, standard_normal
from torch import nn
from trainings import (
    ROWS,
    assert_same_history,
    assert_same_state,
    assert_same_values,
    keep_every_state,
    line_data,
    line_pair,
    quiet,
    restless_pair,
    stopped,
    train,
)

from ppvae import IWAE, SVI, BetaELBO, NotFiniteError, Schedule
from ppvae.capture.work import Switches
from ppvae.checkpoint import Checkpoint
from ppvae.run import CHECKPOINT

NEVER = math.inf
COMPILED = {"compile": "inductor", "batch_size": 8, "epochs": 3}


def lively_pair():
    """Dropout, batch norm and a named param, none of which keeps it from being captured."""
    return restless_pair(foreign=False)


@pytest.fixture
def steps(monkeypatch):
    """How each step was computed, and its loss, as they come."""
    found, gradients = [], SVI.gradients

    def noted(self, **batch):
        loss = gradients(self, **batch)
        found.append((self.how, float(loss)))
        return loss

    monkeypatch.setattr(SVI, "gradients", noted)
    return found


def ways(steps):
    return [how for how, _ in steps]


REPLAYED = {
    "ELBO": {},
    "IWAE": {"estimator": IWAE(5)},
    "Trace_ELBO": {"estimator": pyro.infer.Trace_ELBO()},
    "warm-up": {"estimator": BetaELBO(Schedule(0.0, 1.0, fraction=0.6))},
    "clipped": {"clip_norm": 0.1},
    "whole batches": {"batch_size": 8},
    "patience": {"patience": 3, "lr": 0.3, "epochs": 40},
}


@pytest.mark.parametrize("settings", REPLAYED.values(), ids=REPLAYED)
def test_a_replayed_run_is_that_of_python_bit_for_bit(steps, settings):
    settings = {"epochs": 4, **settings}
    python = quiet(lively_pair(), ROWS, **settings, compile="off")
    losses = [loss for _, loss in steps]
    assert set(ways(steps)) == {"eager"}
    steps.clear()
    run = quiet(lively_pair(), ROWS, **settings, compile="replay")
    assert ways(steps) == ["eager", *["replay"] * (len(losses) - 1)]
    assert [loss for _, loss in steps] == losses
    assert run.stopped == python.stopped == ("early" if "patience" in settings else "finished")
    assert run.history.drop_vars("seconds").equals(python.history.drop_vars("seconds"))
    assert_same_values(run.pair, python.pair)


def assert_stopped_is_undisturbed(home, monkeypatch, after, **settings):
    """Stop a run after each of the steps and go on; the same is left as without a stop."""
    keep_every_state(monkeypatch)
    whole = train(home / "whole", **settings)
    for step in after:
        folder = home / f"stopped-{step}"
        stopped(monkeypatch, step, folder, **settings)
        assert Checkpoint.load(folder / CHECKPOINT).values["step"] == step
        run = train(folder, **settings, resume=True)
        assert_same_state(folder, home / "whole")
        assert_same_history(run, whole)
        assert_same_values(run.pair, whole.pair)
    return whole


@pytest.mark.parametrize("after", [(1, 2), (4, 7)])
def test_a_replayed_run_that_was_stopped_is_the_undisturbed_one(tmp_path, monkeypatch, after):
    settings = {"pair": lively_pair, "epochs": 2, "compile": "replay", **REPLAYED["warm-up"]}
    assert_stopped_is_undisturbed(tmp_path, monkeypatch, after, **settings)


@pytest.mark.skipif(OLD_INDUCTOR, reason="dropout and noise are drawn in another order")
def test_a_compiled_run_that_was_stopped_before_and_after_compiled_code_is_the_undisturbed_one(
    tmp_path, monkeypatch, steps
):
    whole = assert_stopped_is_undisturbed(
        tmp_path, monkeypatch, (3, 4), pair=lively_pair, **COMPILED
    )
    assert ways(steps[:12]) == ["eager", "replay", "replay", *["inductor"] * 9]
    assert ways(steps[12:24]) == ["eager", "replay", "replay", *["inductor"] * 9]
    assert whole.history.attrs["compiled_from"] == 4


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["replay", "inductor"])
@pytest.mark.parametrize("settings", REPLAYED.values(), ids=REPLAYED)
def test_a_run_that_was_stopped_anywhere_is_the_undisturbed_one(
    tmp_path, monkeypatch, mode, settings
):
    settings = {"epochs": 3, "compile": mode, "pair": lively_pair, **settings}
    assert_stopped_is_undisturbed(tmp_path, monkeypatch, (1, 2, 3, 4, 5, 7), **settings)


def test_a_run_goes_on_as_its_first_length_has_it(tmp_path, monkeypatch, steps):
    def of(work, length, every=1):
        return Switches(2 if length >= 20 else NEVER, NEVER)

    monkeypatch.setattr(Switches, "of", of)
    train(tmp_path / "run", pair=lively_pair, epochs=2)
    train(tmp_path / "run", pair=lively_pair, epochs=5, resume=True)
    train(tmp_path / "run", pair=lively_pair, epochs=6, resume=True)
    assert ways(steps) == ["eager"] * 24
    assert Checkpoint.load(tmp_path / "run" / CHECKPOINT).values["length"] == 8
    steps.clear()
    train(tmp_path / "long", pair=lively_pair, epochs=5)
    assert ways(steps) == ["eager", *["replay"] * 19]


def test_a_resume_finds_a_step_as_much_work_as_the_run_did(tmp_path, monkeypatch):
    found = []

    def of(work, length, every=1):
        found.append(work)
        return Switches(NEVER, NEVER)

    monkeypatch.setattr(Switches, "of", of)
    keep_every_state(monkeypatch)
    # Pyro guesses once in each process how plates are nested.
    guessing = pyro.infer.Trace_ELBO(num_particles=2, vectorize_particles=True)
    settings = {"pair": lively_pair, "batch_size": 8, "epochs": 2, "estimator": guessing}
    stopped(monkeypatch, 3, tmp_path, **settings)
    train(tmp_path, **settings, resume=True)
    first, again = found
    assert first == again


class Late(nn.Module):
    """Counts training steps and, after so many, gives NaN, as a graph does it too."""

    def __init__(self, after):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.5))
        self.register_buffer("steps", torch.tensor(0))
        self.after = after

    def forward(self, x):
        if self.training and torch.is_grad_enabled():
            self.steps += 1
        return torch.where(self.steps > self.after, math.nan, self.weight * x)


def late_pair(after):
    decoder = Late(after)

    def model(x):
        pyro.module("decoder", decoder)
        with rows(x):
            z = pyro.sample("z", standard_normal(1))
            pyro.sample("x", dist.Normal(decoder(z), 1.0).to_event(1), obs=x)

    def guide(x):
        shift = pyro.param("shift", torch.tensor(0.0))
        with rows(x):
            pyro.sample("z", dist.Normal(0.5 * x + shift, 0.7).to_event(1))

    return model, guide


@pytest.mark.parametrize("mode", ["replay", "inductor"])
def test_nan_is_explained_by_the_steps_of_the_run(mode, steps, monkeypatch):
    # Nothing is kept after the first state, so that all steps come again.
    monkeypatch.setattr("ppvae.keeper._BETWEEN_EPOCHS", math.inf)
    monkeypatch.setattr("ppvae.keeper._WITHIN_EPOCH", math.inf)
    message = r"in step 8 \(epoch 2\): site 'x' of the model has loc nan\. The state after step 0"
    with pytest.raises(NotFiniteError, match=message):
        quiet(late_pair(7), line_data(), epochs=3, batch_size=12, lr=0.1, compile=mode)
    assert ways(steps[:8]) == ["eager", "replay", "replay", *[mode] * 5]
    assert ways(steps[8:]) == ["replay"] * 3 + [mode] * 5
    assert [loss for _, loss in steps[8:15]] == [loss for _, loss in steps[:7]]


def test_nan_after_a_resume_is_explained_from_there(tmp_path, monkeypatch):
    keep_every_state(monkeypatch)
    settings = {"pair": lambda: late_pair(7), "data": line_data(), "compile": "replay"}
    train(tmp_path, **settings, steps=6)
    message = r"in step 8 \(epoch 2\): site 'x' of the model .* The state after step 7 is kept in"
    with pytest.raises(NotFiniteError, match=message):
        train(tmp_path, **settings, steps=15, resume=True)


def test_a_batch_of_all_rows_is_a_whole_one(monkeypatch):
    told = []
    monkeypatch.setattr(SVI, "begin", lambda self, *given: told.append(given))
    quiet(line_pair(), line_data(), steps=3, batch_size=1000)
    assert told == [(3, 48)]
