"""Graphs that one run lends to the next: the same numbers, traced once."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from captured import assert_equal_trainings
from programs import binary_rows, binary_vae, rows, standard_normal
from torch import nn

import ppvae
from ppvae.capture import Shared
from ppvae.capture import graph as graphs
from ppvae.capture.watched import Watched


@pytest.fixture
def traces(monkeypatch):
    """How often something was traced."""
    taken = []
    trace = graphs.traced

    def counted(*arguments):
        taken.append(arguments)
        return trace(*arguments)

    monkeypatch.setattr(graphs, "traced", counted)
    return taken


def batches():
    torch.manual_seed(0)
    return [{"x": binary_rows()} for _ in range(2)]


def runs_of(makes, shared):
    return [assert_equal_trainings(make, ppvae.ELBO, batches(), mode=shared) for make in makes]


def test_runs_of_one_experiment_are_traced_once(traces):
    # Each hold against Python is of other weights: pairs are built from other generator states.
    seeded = [lambda s=seed: torch.manual_seed(s) and binary_vae() for seed in range(3)]
    runs = runs_of(seeded, Shared("replay", runs=3))
    assert [run.how for run in runs] == ["replay"] * 3
    assert len(traces) == 1


def test_one_run_alone_keeps_nothing_for_others(traces):
    runs_of([binary_vae] * 2, Shared("replay"))
    assert len(traces) == 2


def scaled(scale):
    def make():
        net = nn.Linear(2, 6)

        def model(x):
            pyro.module("net", net)
            with rows(x):
                z = pyro.sample("z", standard_normal(2))
                pyro.sample("x", dist.Normal(net(z), scale).to_event(1), obs=x)

        def guide(x):
            loc = pyro.param("loc", torch.zeros(2))
            with rows(x):
                pyro.sample("z", dist.Normal(loc, 1.0).to_event(1))

        return model, guide

    return make


def test_another_number_in_the_pair_is_another_graph(traces):
    runs_of([scaled(1.0), scaled(2.0), scaled(1.0)], Shared("replay", runs=3))
    assert len(traces) == 2


def test_pairs_are_alike_in_all_but_tensors_and_objects():
    def look(scale, width=2):
        return Watched({"model": scaled(scale)()[0], "weight": torch.zeros(width)})

    assert look(1.0).alike(look(1.0))
    assert not look(1.0).alike(look(2.0))
    assert not look(1.0).alike(look(1.0, width=3))


def test_another_structure_is_another_graph(traces):
    wider = [lambda: binary_vae(latent_dim=2), lambda: binary_vae(latent_dim=3)]
    runs_of(wider, Shared("replay", runs=2))
    assert len(traces) == 2


def test_a_tensor_that_only_the_code_holds_is_not_shared(traces):
    offsets = iter([torch.zeros(6), torch.zeros(6), torch.ones(6), torch.ones(6)])

    def make():
        # A default of a C function: no look at the Python reaches it.
        add = next(offsets).__radd__
        model, guide = scaled(1.0)()

        def shifted(x):
            return model(add(x))

        return shifted, guide

    runs = runs_of([make] * 2, Shared("replay", runs=2))
    assert [run.how for run in runs] == ["replay"] * 2
    assert len(traces) == 2


def test_a_mode_that_is_none_is_refused():
    with pytest.raises(ValueError, match="compile must be one of auto, replay, inductor, off; got"):
        Shared("fast")
