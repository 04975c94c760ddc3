"""The experiments with labels are built, refuse data without, and come back from their folder."""

from dataclasses import replace

import pytest
import torch

import ppvae
from ppvae.data import count_classes, from_arrays, keep_labels, load
from ppvae.estimators import ScoreFunction
from ppvae.experiment import build, find_recipe
from ppvae.networks import Frozen

NAMES = ("cvae", "m2", "m1-m2", "two-classes")


@pytest.fixture(autouse=True)
def in_float32(fixed_start):
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("name", NAMES)
def test_data_without_labels_are_refused(name):
    data = from_arrays({"x": torch.rand(30, 4).round()})
    with pytest.raises(ValueError, match=f"data must have labels y for {name}; got arrays without"):
        build(find_recipe(name), data)


@pytest.mark.parametrize("name", NAMES)
def test_data_of_which_every_label_is_missing_are_refused(name):
    data = from_arrays({"x": torch.rand(30, 4).round(), "y": torch.full((30,), -1)})
    with pytest.raises(ValueError, match=f"data must have labels y for {name}; got arrays without"):
        build(find_recipe(name), data)


def test_a_class_that_only_held_out_rows_have_is_counted():
    data = from_arrays({"x": torch.rand(30, 4).round(), "y": torch.arange(30) % 3})
    train = data.train | {"y": data.train["y"].clamp(max=1)}
    assert count_classes(replace(data, train=train), "m2") == 3


@pytest.mark.parametrize("name", NAMES)
def test_data_with_every_label_are_taken(name):
    data = from_arrays({"x": torch.rand(30, 4).round(), "y": torch.arange(30) % 2})
    options = {"m1_epochs": 1} if name == "m1-m2" else {}
    ppvae.fit(build(find_recipe(name), data, **options), data, steps=2, progress=False)


def test_a_way_to_treat_labels_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match="how must be summed, drawn or soft; got 'guessed'"):
        build(find_recipe("m2"), load("digits", labels=10), how="guessed")


def test_each_way_to_treat_labels_is_what_it_says():
    data = load("digits", labels=10)
    summed, drawn, soft = (
        build(find_recipe("m2"), data, how=h) for h in ("summed", "drawn", "soft")
    )
    terms = [ppvae.log_terms(e.model, e.guide, data.test) for e in (summed, drawn, soft)]
    assert [each.enumerated for each in terms] == [["y"], [], []]
    assert [each.scored for each in terms] == [[], ["y"], []]
    assert isinstance(drawn.estimator.of.gradient, ScoreFunction)
    assert all(each.labelled_per_batch == 20 for each in (summed, drawn, soft))


def test_the_codes_below_m2_are_those_of_the_run_that_is_named_and_stay(tmp_path):
    data = keep_labels(load("digits"), 20)
    below = build(find_recipe("vae"), data, latent_dim=3, hidden=5)
    ppvae.fit(below, data, steps=2, progress=False, folder=tmp_path / "m1")
    stacked = build(find_recipe("m1-m2"), data, m1=str(tmp_path / "m1"), hidden=6)
    assert isinstance(stacked.model.decoder, Frozen) and isinstance(stacked.guide.lower, Frozen)
    ppvae.fit(stacked, data, steps=3, progress=False, folder=tmp_path / "stacked")
    again = ppvae.load_run(tmp_path / "stacked")
    for one, other in (
        (again.guide.lower.network, below.guide.encoder),
        (again.model.decoder.network, below.model.decoder),
    ):
        kept, first = dict(one.named_buffers()), dict(other.named_parameters())
        assert kept.keys() == first.keys()
        assert all(torch.equal(kept[name], first[name]) for name in kept)
