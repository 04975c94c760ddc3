"""Who is accepted by to_arviz, how it draws, and what it refuses."""

import builtins

import arviz
import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from programs import rows, standard_normal, wide_noise
from trainings import line_data, line_evidence, line_pair

import ppvae
from ppvae import Experiment, Pair, to_arviz
from ppvae.arviz_bridge import arviz_version


def drawn(found, group, name):
    """One variable by (draw, row, ...), of an InferenceData or a DataTree."""
    return torch.from_numpy(found[group][name].values[0].copy())


def test_a_run_stands_for_its_pair_and_its_test_rows():
    data = line_data()
    run = ppvae.fit(
        Experiment(*line_pair(), log_evidence=line_evidence),
        data,
        steps=2,
        device="cpu",
        progress=False,
    )
    found = to_arviz(run, num_draws=3)
    rows_of_it = to_arviz(run, data.valid, num_draws=3)
    assert found["posterior"]["row"].values.tolist() == data.test["index"].tolist()
    assert rows_of_it["posterior"]["row"].values.tolist() == data.valid["index"].tolist()


@pytest.mark.parametrize("source", [tuple, lambda programs: Pair(*programs)])
def test_a_pair_stands_for_model_and_guide(source):
    programs, x = wide_noise(), torch.randn(3, 2)
    found = to_arviz(source(programs), batch=x, num_draws=4)
    expected = to_arviz(*programs, x, 4)
    np.testing.assert_array_equal(found["posterior"]["z"], expected["posterior"]["z"])


@pytest.mark.filterwarnings("ignore:particles are drawn one by one")
def test_a_pair_that_cannot_draw_two_at_once_is_looped():
    _, guide = wide_noise()

    def flat(x):
        with rows(x):
            z = pyro.sample("z", standard_normal(2))
            pyro.sample("x", dist.Normal(z.reshape(3, 2), 3**0.5).to_event(1), obs=x)

    x = torch.randn(3, 2)
    found = to_arviz(flat, guide, x, 4)
    z = drawn(found, "posterior", "z")
    likelihood = dist.Normal(z, 3**0.5).log_prob(x).sum(-1)
    assert z.shape == (4, 3, 2)
    assert torch.allclose(drawn(found, "log_likelihood", "x"), likelihood)


def test_draws_are_taken_in_parts_that_fit_a_cache(monkeypatch):
    monkeypatch.setitem(ppvae.to_arviz.__globals__, "_FLOATS", 20)
    found = to_arviz(*wide_noise(), torch.randn(3, 2), 10)
    z = drawn(found, "posterior", "z")
    assert found["posterior"]["z"]["draw"].values.tolist() == list(range(10))
    assert len(z.flatten(1).unique(dim=0)) == 10


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((*wide_noise(), torch.zeros(2, 2), 0), ValueError, "num_draws must be at least 1; got 0"),
        ((wide_noise(),), ValueError, "batch must be given where no run with data is; got None"),
        (wide_noise(), ValueError, "batch must be given where no run with data is; got None"),
        (
            (wide_noise(), torch.zeros(2, 2), torch.zeros(2, 2)),
            TypeError,
            "guide must be left out where a run or a pair stands for both programs; got Tensor",
        ),
        ((3, None, torch.zeros(2, 2)), TypeError, "run must be a run, a Pair or a tuple"),
    ],
)
def test_what_is_no_pair_on_a_batch_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        to_arviz(*arguments)


def test_a_scaled_site_is_refused():
    model, guide = wide_noise()
    with pytest.raises(ValueError, match=r"log-densities as they are; got a poutine.scale on 'z'"):
        to_arviz(pyro.poutine.scale(model, 2.0), guide, torch.zeros(2, 2), 3)


def test_a_plate_that_takes_some_of_the_rows_is_refused():
    def model(x):
        with pyro.plate("data", len(x), subsample_size=2, dim=-1) as some:
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x[some])

    def guide(x):
        with pyro.plate("data", len(x), subsample_size=2, dim=-1) as some:
            pyro.sample("z", dist.Normal(x[some], 1.0))

    with pytest.raises(ValueError, match="must hold the rows of the batch, 4; got 2"):
        to_arviz(model, guide, torch.zeros(4), 3)


def test_an_import_of_arviz_that_another_process_crossed_is_done_again(monkeypatch):
    real, calls = builtins.__import__, []

    def crossed_once(name: str, *rest: object) -> object:
        if name == "arviz":
            calls.append(name)
            if len(calls) == 1:
                raise FileNotFoundError("daily_warning.tmp")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", crossed_once)
    assert arviz_version() == arviz.__version__
    assert len(calls) == 2
