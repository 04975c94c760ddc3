"""fit: repeatable, off the clock where it only looks, and nothing begun that is refused."""

import math
import random

import numpy
import pyro
import pyro.distributions as dist
import pytest
import torch
from programs import binary_rows, binary_vae
from sklearn.decomposition import PCA
from torch import nn
from trainings import (
    assert_same_history,
    assert_same_values,
    line_data,
    line_pair,
    quiet,
    restless_pair,
)

import ppvae.keeper
import ppvae.training
from ppvae import ELBO, SVI
from ppvae.data import from_arrays
from ppvae.experiment import build, find_recipe
from ppvae.guides import GaussianGuide
from ppvae.models import LinearGaussian


@pytest.mark.parametrize("folder", [None, "run"])
def test_equal_seeds_give_the_same_bits(tmp_path, folder):
    runs, x = [], binary_rows(40)
    for number in (1, 2):
        pyro.set_rng_seed(number)  # what was drawn before must not count
        where = folder and tmp_path / f"{folder}{number}"
        runs.append(quiet(restless_pair(), x, epochs=3, seed=5, folder=where))
    assert_same_history(*runs)
    assert_same_values(*[run.pair for run in runs])


def test_another_seed_gives_another_run():
    x = binary_rows(40)
    bounds = [
        float(quiet(restless_pair(), x, epochs=1, seed=seed).history["train_bound"][1])
        for seed in (5, 6)
    ]
    assert bounds[0] != bounds[1]


def test_the_global_generators_are_left_as_they_were():
    (model, guide), x = restless_pair(), binary_rows(40)
    states = torch.get_rng_state(), numpy.random.get_state()[1:], random.getstate()
    quiet((model, guide), x, epochs=2, watch=lambda pair: {"drawn": torch.rand(())})
    assert torch.equal(torch.get_rng_state(), states[0])
    assert all(map(numpy.array_equal, numpy.random.get_state()[1:], states[1]))
    assert random.getstate() == states[2]


def test_the_global_parameter_store_is_left_alone():
    quiet(line_pair(), line_data(), epochs=1)
    assert not dict(pyro.get_param_store())


def test_seconds_are_those_of_the_steps_alone(monkeypatch):
    now = [0.0]

    def taking(seconds, function):
        def timed(*args, **kwargs):
            now[0] += seconds
            return function(*args, **kwargs)

        return timed

    monkeypatch.setattr(ppvae.training.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(ppvae.training, "held_out_bound", taking(1e3, lambda *args: 0.0))
    monkeypatch.setattr(ppvae.keeper.Keeper, "keep", taking(1e9, lambda *args, **kwargs: None))
    monkeypatch.setattr(SVI, "update_rows", taking(1.0, SVI.update_rows))
    watch = taking(1e6, lambda pair: {})
    history = quiet(line_pair(), line_data(), epochs=2, watch=watch).history
    assert history["seconds"].values.tolist() == [0.0, 5.0, 10.0]


class Watch:
    """Counts its calls and notes how it found the pair."""

    def __init__(self):
        self.training, self.gradients, self.calls = set(), set(), 0

    def __call__(self, pair):
        self.calls += 1
        modules = [m for each in pair.modules.values() for m in each.modules()]
        self.training |= {module.training for module in modules}
        self.gradients.add(torch.is_grad_enabled())
        pyro.sample("anything", dist.Normal(0.0, 1.0))
        return {"calls": self.calls, "slope": torch.tensor(0.5)}


@pytest.mark.parametrize(
    ("watch_every", "epochs"), [(1, [0, 1, 2, 3, 4, 5]), (2, [0, 2, 4, 5]), (9, [0, 5])]
)
def test_watch_is_called_every_so_many_epochs_and_at_the_last(watch_every, epochs):
    watch = Watch()
    settings = {"watch": watch, "watch_every": watch_every}
    history = quiet(restless_pair(), binary_rows(40), epochs=5, **settings).history
    called = {int(e): float(v) for e, v in history["calls"].to_series().items() if v == v}
    assert called == {epoch: number + 1.0 for number, epoch in enumerate(epochs)}
    assert history["slope"][epochs[-1]] == 0.5


def test_watch_is_called_at_the_last_epoch_of_a_run_that_stops_early():
    watch = Watch()
    settings = {"watch": watch, "watch_every": 100, "patience": 2}
    run = quiet(line_pair(), line_data(), epochs=50, lr=0.3, **settings)
    assert run.stopped == "early"
    assert run.history["calls"].values[-1] == watch.calls == 2


def test_watch_sees_the_pair_in_evaluation_without_gradients():
    watch = Watch()
    quiet(restless_pair(), binary_rows(40), epochs=2, watch=watch)
    assert (watch.training, watch.gradients) == ({False}, {False})


def test_watching_changes_nothing():
    x = binary_rows(40)
    runs = [quiet(restless_pair(), x, epochs=3, watch=watch) for watch in (None, Watch())]
    assert_same_values(*[run.pair for run in runs])
    kept = ["train_bound", "valid_bound"]
    assert runs[0].history[kept].equals(runs[1].history[kept])


SCHEDULE = {"optimizer": torch.optim.Adam, "optim_args": {"lr": 0.01}, "gamma": 0.9}
REFUSED = {
    "epochs": ({"epochs": 0}, "epochs must be at least 1; got 0"),
    "steps": ({"steps": -2}, "steps must be at least 1; got -2"),
    "both": ({"epochs": 2, "steps": 3}, "epochs or steps must be given, not both; got 2 and 3"),
    "batch_size": ({"batch_size": 0}, "batch_size must be at least 1; got 0"),
    "patience": ({"patience": 0}, "patience must be at least 1; got 0"),
    "watch_every": ({"watch_every": 0}, "watch_every must be at least 1; got 0"),
    "lr": ({"lr": -1.0}, r"lr must be positive and finite; got -1\.0"),
    "nan": ({"lr": math.nan}, "lr must be positive and finite; got nan"),
    "clip_norm": ({"clip_norm": 0.0}, r"clip_norm must be positive and finite; got 0\.0"),
    "seed": ({"seed": -1}, r"seed must be between 0 and 2\*\*32 - 1; got -1"),
    "large seed": ({"seed": 2**32}, "seed must be between 0 and"),
    "device": ({"device": "tpu9"}, "device must be auto, cpu or a GPU of this machine; got 'tpu9'"),
    "meta": ({"device": "meta"}, "device must be auto, cpu or a GPU of this machine; got 'meta'"),
    "resume": ({"resume": True}, r"folder must hold a run to resume; .* has no settings\.json"),
}


@pytest.mark.parametrize(("settings", "message"), REFUSED.values(), ids=REFUSED)
def test_a_bad_setting_is_refused_before_anything_is_written(tmp_path, settings, message):
    pair = line_pair()
    with pytest.raises(ValueError, match=message):
        quiet(pair, line_data(), folder=tmp_path / "run", **settings)
    assert not (tmp_path / "run").exists()


def test_a_schedule_that_nobody_would_step_is_refused():
    with pytest.raises(TypeError, match=r"optim must be without a schedule.*; got ExponentialLR"):
        quiet(line_pair(), line_data(), optim=pyro.optim.ExponentialLR(dict(SCHEDULE)))


def test_a_resume_without_a_folder_is_refused():
    with pytest.raises(ValueError, match="folder must be given to resume a run; got None"):
        quiet(line_pair(), line_data(), resume=True)


def test_something_that_is_no_pair_is_refused():
    with pytest.raises(TypeError, match=r"experiment must be an Experiment, a Pair or .*; got str"):
        quiet("vae", line_data())


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("settings.json", "folder must be a new one, or its run be resumed; .* holds a run"),
        ("thesis.tex", "folder must be new or empty; .* holds other files"),
    ],
)
def test_a_folder_that_holds_something_is_refused_and_left_alone(tmp_path, file, message):
    (tmp_path / file).write_text("mine")
    with pytest.raises(ValueError, match=message):
        quiet(line_pair(), line_data(), folder=tmp_path)
    assert [(f.name, f.read_text()) for f in tmp_path.iterdir()] == [(file, "mine")]


def test_a_pair_with_problems_is_refused_before_anything_is_written(tmp_path):
    model, guide = binary_vae()
    grey = torch.rand(40, 6)
    with pytest.raises(ValueError, match="data at site 'x' must lie in the support of Bernoulli"):
        quiet((model, guide), grey, folder=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_first_file_in_a_folder_makes_it_one_that_can_be_resumed(tmp_path, monkeypatch):
    def dies(path, content):
        written.append(path.name)
        raise KeyboardInterrupt

    written, data = [], line_data()
    experiment = build(find_recipe("linear-gaussian"), data, latent_dim=1)
    monkeypatch.setattr("ppvae.keeper.write_whole", dies)
    with pytest.raises(KeyboardInterrupt):
        quiet(experiment, data, epochs=1, folder=tmp_path / "run")
    assert written == ["settings.json"]


def test_a_remark_of_check_is_a_warning_at_the_line_that_called_fit():
    def guide(x):
        pyro.param("idle", torch.tensor(1.0))
        line(x)

    model, line = line_pair()
    with pytest.warns(UserWarning, match="no gradient reaches idle") as warned:
        quiet((model, guide), line_data(), steps=1)
    assert [warning.filename for warning in warned] == [quiet.__code__.co_filename]


def test_a_linear_decoder_reaches_the_score_of_pca():
    truth = LinearGaussian.random(6, 2, generator=torch.Generator().manual_seed(0))
    z = torch.randn(1000, 2)
    x = z @ truth.weight.detach().T + torch.randn(1000, 6)
    data = from_arrays({"x": x})
    model = LinearGaussian(0.3 * torch.randn(6, 2), bias=data.mean.double(), scale=0.7)
    guide = GaussianGuide(nn.Linear(6, 4))
    quiet((model, guide), data, estimator=ELBO(analytic_kl=True), epochs=40, lr=0.02, batch_size=80)
    rows_of = data.train["x"].double()
    score = PCA(2).fit(rows_of.numpy()).score(rows_of.numpy())
    assert abs(float(model.log_evidence(rows_of).mean().detach()) - score) < 0.05


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_a_row_outside_of_the_support_is_refused_in_whichever_batch_it_would_come(tmp_path, split):
    splits = {name: binary_rows(40) for name in ("train", "valid", "test")}
    splits[split][33, 2] = 0.5
    with pytest.raises(ValueError, match=rf"support of the model's likelihood; got {split} row 33"):
        quiet(binary_vae(), from_arrays(splits), batch_size=4, epochs=1, folder=tmp_path / "run")
    assert not (tmp_path / "run").exists()
