"""A run found again: loaded as it was, resumed from anywhere, refused where things have changed."""

import shutil
from unittest.mock import Mock

import numpy
import pytest
import torch
from programs import binary_rows
from trainings import assert_same_history, assert_same_values, line_data, line_pair, quiet

from ppvae import fit, load_run, resume
from ppvae.data import load
from ppvae.experiment import build, find_recipe
from ppvae.named import estimator_named
from ppvae.run import CHECKPOINT

MINE = '''
"""Batch norm, dropout, a named param that begins at random: all that a run must bring back."""

import pyro
import pyro.distributions as dist
import torch
from torch import nn

from ppvae import Experiment, Estimator
from ppvae.data import Data


class MyBound(Estimator):
    def bound(self, terms):
        return terms.log_weight.mean(0)


def my_pair(data: Data, hidden: int = 5) -> Experiment:
    layers = nn.Linear(data.data_dim, hidden), nn.BatchNorm1d(hidden), nn.Dropout(0.3)
    encoder = nn.Sequential(*layers, nn.Linear(hidden, 4))

    def model(x):
        weight = pyro.param("weight", lambda: torch.randn(2, data.data_dim))
        with pyro.plate("data", len(x), dim=-1):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            pyro.sample("x", dist.Bernoulli(logits=z @ weight).to_event(1), obs=x)

    def guide(x):
        pyro.module("encoder", encoder)
        loc, log_scale = encoder(x).chunk(2, -1)
        with pyro.plate("data", len(x), dim=-1):
            pyro.sample("z", dist.Normal(loc, log_scale.exp()).to_event(1))

    return Experiment(model, guide, batch_size=10)
'''


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A folder with an experiment and its data, to work in; quiet runs."""
    (tmp_path / "mine.py").write_text(MINE)
    numpy.save(tmp_path / "x.npy", binary_rows(40).numpy())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def elsewhere(home, monkeypatch):
    """A way into another folder, to be in when a run is found again."""
    (home / "elsewhere").mkdir()
    return lambda: monkeypatch.chdir(home / "elsewhere")


def train(folder="run", name="mine.py", **settings):
    data = load("x.npy")
    experiment = build(find_recipe(name), data, seed=settings.get("seed", 0), hidden=6)
    return fit(experiment, data, folder=folder, progress=False, **settings)


def test_a_loaded_run_is_the_run(home, elsewhere):
    run = train(epochs=3, seed=4)
    elsewhere()
    loaded = load_run(home / "run")
    assert_same_values(loaded.pair, run.pair)
    assert loaded.history.identical(run.history)
    assert loaded.settings == run.settings
    assert (loaded.stopped, loaded.folder) == ("finished", home / "run")
    assert loaded.data.fingerprint == run.data.fingerprint
    assert loaded.data.train["x"].dtype == run.data.train["x"].dtype


def test_named_params_and_running_statistics_are_among_what_is_loaded(home):
    train(epochs=1)
    pair = load_run("run").pair
    assert "weight" in pair.leaves
    assert float(pair.buffers["guide.encoder.1.num_batches_tracked"]) == 4


def test_a_loaded_run_is_ready_to_be_evaluated(home):
    train(epochs=1)
    loaded = load_run("run")
    assert not any(module.training for module in loaded.pair.modules.values())


def test_loading_leaves_the_global_generators_alone(home):
    train(epochs=1)
    torch.manual_seed(11)
    numpy.random.seed(11)
    expected = torch.rand(()), numpy.random.rand()
    torch.manual_seed(11)
    numpy.random.seed(11)
    load_run("run")
    assert (torch.rand(()), numpy.random.rand()) == expected


def test_a_loaded_run_that_stopped_early_has_its_best_parameters(home):
    run = train(epochs=40, patience=1, lr=1.0)
    loaded = load_run("run")
    assert (run.stopped, loaded.stopped) == ("early", "early")
    assert_same_values(loaded.pair, run.pair)


def test_the_folder_holds_a_copy_of_the_experiment_to_read(home):
    train(epochs=1)
    assert (home / "run" / "experiment.py").read_text() == MINE


def test_nothing_in_the_folder_is_executed(home):
    train(epochs=1)
    (home / "run" / "experiment.py").write_text("raise AssertionError\n")
    load_run("run")


def test_a_run_resumed_from_elsewhere_is_the_undisturbed_one(home, elsewhere):
    whole = train("whole", epochs=5)
    train(epochs=2)
    elsewhere()
    run = resume(home / "run", epochs=5, progress=False)
    assert_same_history(run, whole)
    assert_same_values(run.pair, whole.pair)


def test_a_run_of_steps_is_resumed_to_its_own_end(home, monkeypatch):
    whole = train("whole", steps=7)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("ppvae.svi.SVI.update_rows", Mock(side_effect=KeyboardInterrupt))
        train(steps=7)
    run = resume("run", progress=False)
    assert_same_history(run, whole)
    assert_same_values(run.pair, whole.pair)


@pytest.mark.parametrize(
    "name", ["iwae:3", "renyi:0.3333333333333333:3", "constrained:0.1", "mine.py:MyBound"]
)
def test_a_run_keeps_the_estimator_it_was_given(home, elsewhere, name):
    whole = train("whole", epochs=3, estimator=estimator_named(name))
    train(epochs=1, estimator=estimator_named(name))
    elsewhere()
    run = resume(home / "run", epochs=3, progress=False)
    assert type(run.estimator).__name__ == type(whole.estimator).__name__
    assert_same_history(run, whole)


def test_a_changed_experiment_is_refused_unless_it_is_named_again(home):
    train(epochs=1)
    (home / "mine.py").write_text(MINE + "\n# changed\n")
    for door in (load_run, resume):
        with pytest.raises(ValueError, match=r"mine\.py must be as when the run began; .* changed"):
            door("run")
        door("run", experiment="mine.py")


def test_a_moved_experiment_is_refused_unless_it_is_named_again(home):
    whole = train("whole", epochs=2)
    train(epochs=1)
    (home / "mine.py").rename(home / "moved.py")
    with pytest.raises(
        ValueError, match=r"experiment file must be where it was, .*mine\.py; it is"
    ):
        load_run("run")
    run = resume("run", epochs=2, experiment="moved.py", progress=False)
    assert_same_history(run, whole)


def test_another_experiment_named_instead_is_refused(home):
    train(epochs=1)
    (home / "other.py").write_text(MINE.replace("my_pair", "your_pair"))
    for door in (load_run, resume):
        with pytest.raises(ValueError, match="must be of experiment 'my-pair'; got 'your-pair'"):
            door("run", experiment="other.py")


def test_changed_data_are_refused(home):
    train(epochs=1)
    numpy.save(home / "x.npy", 1 - binary_rows(40).numpy())
    for door in (load_run, resume):
        with pytest.raises(ValueError, match=r"data must be those of the run; x\.npy has other"):
            door("run")


def test_data_that_are_gone_are_named(home):
    train(epochs=1)
    (home / "x.npy").unlink()
    with pytest.raises(FileNotFoundError, match=r"data file or folder must exist; got .*x\.npy"):
        load_run("run")


def test_the_checkpoint_of_another_run_is_refused(home):
    train(epochs=1)
    train("other", epochs=1, lr=0.5)
    shutil.copy("other/" + CHECKPOINT, "run/" + CHECKPOINT)
    for door in (load_run, resume):
        with pytest.raises(ValueError, match=r"checkpoint must be of the run whose settings\.json"):
            door("run")


def test_a_truncated_checkpoint_is_refused(home):
    train(epochs=1)
    path = home / "run" / CHECKPOINT
    path.write_bytes(path.read_bytes()[:-1])
    for door in (load_run, resume):
        with pytest.raises(ValueError, match="checkpoint must be whole; got "):
            door("run")


def test_weights_of_another_dtype_are_refused(home):
    train(epochs=1)
    torch.set_default_dtype(torch.float32)
    with pytest.raises(
        ValueError, match=r"checkpoint must be of this pair; .* is float64 of shape"
    ):
        load_run("run")


def test_a_run_without_a_checkpoint_cannot_be_loaded(home):
    train(epochs=1)
    (home / "run" / CHECKPOINT).unlink()
    with pytest.raises(ValueError, match="run must have a checkpoint to be loaded; run has none"):
        load_run("run")


@pytest.mark.parametrize("door", [load_run, resume])
def test_a_folder_without_a_run_is_refused(tmp_path, door):
    with pytest.raises(ValueError, match=r"folder must hold a run to resume; .* settings\.json"):
        door(tmp_path)


@pytest.mark.parametrize("door", [load_run, resume])
def test_a_pair_made_in_python_cannot_be_rebuilt(tmp_path, door):
    quiet(line_pair(), line_data(), epochs=1, folder=tmp_path / "run")
    with pytest.raises(ValueError, match=r"run must come from an experiment .* ppvae\.fit\(pair"):
        door(tmp_path / "run")
