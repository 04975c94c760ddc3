"""A run that was stopped and resumed is the undisturbed one, bit for bit."""

import functools
import json

import pyro
import pytest
import torch
from trainings import (
    ROWS,
    assert_same_history,
    assert_same_state,
    assert_same_values,
    keep_every_state,
    line_data,
    line_pair,
    stopped,
    train,
)

from ppvae import IWAE, BetaELBO, ConstrainedELBO, Schedule
from ppvae.checkpoint import Checkpoint
from ppvae.run import CHECKPOINT, SETTINGS


@pytest.fixture
def eager(monkeypatch):
    keep_every_state(monkeypatch)


@pytest.mark.parametrize("after", [1, 3, 4, 5, 7, 12, 19])
def test_a_run_stopped_after_any_step_and_resumed_is_the_undisturbed_one(
    tmp_path, monkeypatch, eager, after
):
    whole = train(tmp_path / "whole", epochs=5)
    stopped(monkeypatch, after, tmp_path / "run", epochs=5)
    assert Checkpoint.load(tmp_path / "run" / CHECKPOINT).values["step"] == after
    run = train(tmp_path / "run", epochs=5, resume=True)
    assert_same_state(tmp_path / "run", tmp_path / "whole")
    assert_same_history(run, whole)
    assert_same_values(run.pair, whole.pair)


def test_a_run_whose_last_state_is_older_than_its_end_goes_on_from_there(tmp_path, monkeypatch):
    train(tmp_path / "whole", epochs=5)
    stopped(monkeypatch, 9, tmp_path / "run", epochs=5)
    assert Checkpoint.load(tmp_path / "run" / CHECKPOINT).values["step"] == 0
    train(tmp_path / "run", epochs=5, resume=True)
    assert_same_state(tmp_path / "run", tmp_path / "whole")


def test_a_run_stopped_many_times_is_the_undisturbed_one(tmp_path, monkeypatch, eager):
    train(tmp_path / "whole", epochs=4)
    stopped(monkeypatch, 2, tmp_path / "run", epochs=4)
    for _ in range(4):
        stopped(monkeypatch, 3, tmp_path / "run", epochs=4, resume=True)
    train(tmp_path / "run", epochs=4, resume=True)
    assert_same_state(tmp_path / "run", tmp_path / "whole")


def test_a_run_stopped_by_its_own_watch_is_resumed(tmp_path, eager):
    def watch(pair):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return {}

    left = iter(range(2))
    train(tmp_path / "whole", epochs=5)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "run", epochs=5, watch=watch)
    train(tmp_path / "run", epochs=5, resume=True)
    assert_same_state(tmp_path / "run", tmp_path / "whole")


def test_a_run_killed_before_its_first_checkpoint_begins_anew(tmp_path, monkeypatch):
    def dies(*_args):
        raise KeyboardInterrupt

    train(tmp_path / "whole", epochs=2)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Checkpoint, "save", dies)
        train(tmp_path / "run", epochs=2)
    assert (tmp_path / "run" / SETTINGS).exists()
    assert not (tmp_path / "run" / CHECKPOINT).exists()
    train(tmp_path / "run", epochs=2, resume=True)
    assert_same_state(tmp_path / "run", tmp_path / "whole")


LONGER = {
    "epochs": ({"epochs": 2}, {"epochs": 5}),
    "steps": ({"steps": 4}, {"steps": 11}),
    "within an epoch": ({"steps": 6}, {"steps": 15}),
    "within one epoch": ({"steps": 5}, {"steps": 7}),
    "from steps to epochs": ({"steps": 6}, {"epochs": 3}),
    "from epochs to steps": ({"epochs": 2}, {"steps": 11}),
}


@pytest.mark.parametrize(("first", "longer"), LONGER.values(), ids=LONGER)
@pytest.mark.parametrize("patience", [None, 2])
def test_training_longer_than_first_asked_is_longer_at_once(tmp_path, first, longer, patience):
    whole = train(tmp_path / "whole", **longer, patience=patience)
    train(tmp_path / "run", **first, patience=patience)
    run = train(tmp_path / "run", **longer, patience=patience, resume=True)
    assert_same_history(run, whole)
    assert_same_state(tmp_path / "run", tmp_path / "whole", "length")
    assert_same_values(run.pair, whole.pair)


@pytest.mark.parametrize("first", range(1, 10))
def test_a_run_cut_off_within_an_epoch_counts_its_patience_in_whole_ones(tmp_path, first):
    # The shift falls from 1 through 0: within an epoch the bound is better than at its end.
    settings = {"pair": lambda: line_pair(1.0), "data": line_data(), "lr": 0.3, "patience": 1}
    whole = train(tmp_path / "whole", epochs=8, **settings)
    train(tmp_path / "run", steps=first, **settings)
    run = train(tmp_path / "run", epochs=8, **settings, resume=True)
    assert_same_history(run, whole)
    assert_same_values(run.pair, whole.pair)


def test_a_finished_run_resumed_as_it_is_stays_as_it_is(tmp_path):
    first = train(tmp_path / "run", epochs=2)
    again = train(tmp_path / "run", epochs=2, resume=True)
    assert again.history.identical(first.history)
    assert_same_values(again.pair, first.pair)


@pytest.mark.parametrize("after", [1, 6, 13])
def test_patience_counts_on_after_a_resume(tmp_path, monkeypatch, eager, after):
    settings = {"pair": line_pair, "data": line_data(), "epochs": 50, "lr": 0.3, "patience": 3}
    whole = train(tmp_path / "whole", **settings)
    assert (whole.stopped, whole.history.sizes["epoch"]) == ("early", 4)
    stopped(monkeypatch, after, tmp_path / "run", **settings)
    run = train(tmp_path / "run", **settings, resume=True)
    assert run.stopped == "early"
    assert_same_history(run, whole)
    assert_same_values(run.pair, whole.pair)


def test_a_run_that_stopped_early_stays_stopped(tmp_path):
    settings = {"pair": line_pair, "data": line_data(), "lr": 0.3, "patience": 2}
    first = train(tmp_path / "run", epochs=50, **settings)
    again = train(tmp_path / "run", epochs=90, **settings, resume=True)
    assert again.stopped == "early"
    assert_same_history(again, first)
    assert_same_values(again.pair, first.pair)


MOMENTUM = functools.partial(torch.optim.SGD, lr=0.01, momentum=0.9)


@pytest.mark.parametrize(
    "optim", [MOMENTUM, pyro.optim.ClippedAdam({"lr": 0.01, "lrd": 0.9}), torch.optim.RMSprop]
)
def test_any_optimizer_goes_on_where_it_stopped(tmp_path, monkeypatch, eager, optim):
    train(tmp_path / "whole", epochs=3, optim=optim, estimator=IWAE(3))
    stopped(monkeypatch, 6, tmp_path / "run", epochs=3, optim=optim, estimator=IWAE(3))
    train(tmp_path / "run", epochs=3, optim=optim, estimator=IWAE(3), resume=True)
    assert_same_state(tmp_path / "run", tmp_path / "whole")


LEARNING = {
    "warm-up": BetaELBO(Schedule(0.0, 1.0, fraction=0.6)),
    "multiplier": ConstrainedELBO(kl=0.1, rate=0.1),
}


@pytest.mark.parametrize("estimator", LEARNING.values(), ids=LEARNING)
def test_what_an_estimator_learns_goes_on_where_it_stopped(tmp_path, monkeypatch, eager, estimator):
    whole = train(tmp_path / "whole", epochs=5, estimator=estimator)
    stopped(monkeypatch, 7, tmp_path / "run", epochs=5, estimator=estimator)
    run = train(tmp_path / "run", epochs=5, estimator=estimator, resume=True)
    assert_same_state(tmp_path / "run", tmp_path / "whole")
    assert_same_history(run, whole)


def test_a_resume_to_more_epochs_keeps_the_length_of_a_schedule(tmp_path):
    estimator = BetaELBO(Schedule(0.0, 1.0, fraction=0.5))
    train(tmp_path, epochs=2, estimator=estimator)
    run = train(tmp_path, epochs=4, estimator=estimator, resume=True)
    assert run.history["beta"].values.tolist() == [0.0, 1.0, 1.0, 1.0, 1.0]


OTHER = {
    "lr": ({"lr": 0.5}, r"lr 0\.5 instead of 0\.001"),
    "batch_size": ({"batch_size": 7}, "batch_size 7 instead of 10"),
    "seed": ({"seed": 3}, "seed 3 instead of 0"),
    "estimator": ({"estimator": IWAE(5)}, "estimator 'iwae:5' instead of 'elbo'"),
    "clip_norm": ({"clip_norm": 1.0}, r"clip_norm 1\.0 instead of None"),
    "patience": ({"patience": 3}, "patience 3 instead of None"),
    "compile": ({"compile": "replay"}, "compile 'replay' instead of 'auto'"),
    "optim": ({"optim": MOMENTUM}, r"optimizer \"SGD\({'lr': .*}\)\" instead of 'Adam"),
    "data": ({"data": ROWS.flip(0)}, "data_fingerprint '.*' instead of '"),
}


@pytest.mark.parametrize(("settings", "message"), OTHER.values(), ids=OTHER)
def test_a_resume_with_other_settings_is_refused_by_their_name(tmp_path, settings, message):
    train(tmp_path, epochs=1)
    before = (tmp_path / SETTINGS).read_bytes(), (tmp_path / CHECKPOINT).read_bytes()
    with pytest.raises(ValueError, match=f"must keep the settings of the run; got {message}"):
        train(tmp_path, epochs=2, resume=True, **settings)
    assert ((tmp_path / SETTINGS).read_bytes(), (tmp_path / CHECKPOINT).read_bytes()) == before


def test_a_resume_to_fewer_steps_than_were_taken_is_refused(tmp_path):
    train(tmp_path, epochs=3)
    with pytest.raises(ValueError, match="no fewer steps than were taken, 12; got 8"):
        train(tmp_path, epochs=2, resume=True)
    assert json.loads((tmp_path / SETTINGS).read_text())["epochs"] == 3
