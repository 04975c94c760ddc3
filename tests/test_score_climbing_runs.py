"""The states of score climbing belong to a run: it makes room for them, keeps and finds them."""

import torch
from trainings import assert_same_values, line_data, line_pair, quiet

from ppvae import load_run
from ppvae.data import load
from ppvae.estimators import ScoreClimbing
from ppvae.experiment import build, find_recipe


def climbed(epochs=None, steps=None, **settings):
    """The line pair made anew, trained by score climbing."""
    estimator = ScoreClimbing(2)
    return quiet(
        line_pair(0.7), line_data(), estimator=estimator, epochs=epochs, steps=steps, **settings
    )


def states(run):
    return run.experiment.estimator.state_dict()


def test_every_training_row_has_a_state_and_no_other_row():
    run = climbed(epochs=1)
    assert states(run)["visited"].tolist() == [True] * run.data.num_train
    assert states(run)["state0"].shape == (run.data.num_train, 1)


def test_a_run_that_was_stopped_and_resumed_has_the_states_of_the_undisturbed_one(tmp_path):
    whole = climbed(epochs=3)
    climbed(steps=7, folder=tmp_path)
    resumed = climbed(epochs=3, folder=tmp_path, resume=True)
    assert_same_values(resumed.pair, whole.pair)
    assert all(torch.equal(value, states(resumed)[n]) for n, value in states(whole).items())


def test_a_run_is_loaded_with_its_states(tmp_path):
    recipe = find_recipe("squared")
    experiment = build(recipe, load(recipe.data))
    run = quiet(
        experiment, load(recipe.data), estimator=ScoreClimbing(2), steps=3, folder=tmp_path / "run"
    )
    found = states(load_run(tmp_path / "run"))
    assert int(found["visited"].sum()) == 30
    assert all(torch.equal(value.to(found[n]), found[n]) for n, value in states(run).items())
