"""Few labels: which are kept, and how batches hold them beside rows without one."""

import itertools

import numpy as np
import pytest
import torch
from labelled_pairs import m2
from refused import refusal
from trainings import (
    assert_same_history,
    assert_same_state,
    keep_every_state,
    quiet,
    stopped,
    train,
)

from ppvae import Experiment, SemiSupervised
from ppvae.cli import main
from ppvae.data import Batching, Source, from_arrays, keep_labels, load
from ppvae.settings import Settings


def counts(data):
    y = data.train["y"]
    return y[y >= 0].bincount().tolist()


@pytest.mark.parametrize("labels", [10, 50, 103])
def test_the_labels_that_are_kept_are_balanced_over_classes(labels):
    whole, few = load("digits"), load("digits", labels=labels)
    kept = few.train["y"] >= 0
    assert kept.sum() == labels
    assert max(counts(few)) - min(counts(few)) <= 1
    assert torch.equal(few.train["y"][kept], whole.train["y"][kept])
    assert torch.equal(few.test["y"], whole.test["y"])
    assert torch.equal(few.valid["y"], whole.valid["y"])


def test_a_class_with_few_rows_gives_all_of_them_and_the_others_the_rest():
    y = torch.cat([torch.zeros(3), torch.ones(40), torch.full((37,), 2)]).long()
    data = from_arrays({f"{s}{n}": v for s in ("train_", "test_") for n, v in fields(y).items()})
    available = data.train["y"].bincount()
    found = counts(keep_labels(data, 30))
    assert found[0] == min(int(available[0]), 10)
    assert sum(found) == 30 and abs(found[1] - found[2]) <= 1


def fields(y):
    return {"x": torch.rand(len(y), 2), "y": y}


def test_fewer_labels_of_a_seed_are_some_of_those_that_more_would_be():
    fewer, more = (load("digits", labels=n, label_seed=3).train["y"] >= 0 for n in (20, 55))
    assert (more | ~fewer).all()


def test_the_choice_is_the_seeds_and_the_same_on_every_machine():
    first, again, other = (load("digits", labels=10, label_seed=s).train["y"] for s in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert (load("digits", labels=10).train["y"] >= 0).nonzero().flatten().tolist() == KNOWN


# Of label seed 0.
KNOWN = [18, 114, 466, 592, 724, 808, 860, 931, 996, 1125]


def test_what_was_kept_is_said_and_loaded_again():
    data = load("digits", labels=50, label_seed=4)
    assert "50 of 1297 training labels kept, balanced over 10 classes (label seed 4)" in (
        data.describe()
    )
    assert data.source == Source("digits", "dynamic", labels=50, label_seed=4)
    assert load(data.source).fingerprint == data.fingerprint != load("digits").fingerprint


@pytest.mark.parametrize(
    ("name", "labels", "message"),
    [
        ("digits", 9, "labels must be from 10, one a class, to 1297, all .*; got 9"),
        ("digits", 1298, "labels must be from 10, one a class, to 1297, all .*; got 1298"),
        ("squares", 5, "labels must be left out for data without labels; got 5 with squares"),
    ],
)
def test_labels_that_cannot_be_kept_are_refused(name, labels, message):
    with pytest.raises(ValueError, match=message):
        load(name, labels=labels)


def test_a_seed_of_nothing_is_refused():
    with pytest.raises(ValueError, match="label_seed must be 0 where all labels are kept; got 3"):
        load("digits", label_seed=3)


@pytest.fixture
def rows():
    """23 rows, of which 9 have a label: five of class 0, three of 1 and one of 4."""
    y = torch.full((23,), -1)
    y[torch.randperm(23)[:9]] = torch.tensor([0, 0, 0, 0, 0, 1, 1, 1, 4])
    return {"x": torch.randn(23, 2), "y": y, "index": torch.arange(23)}


def batches_of(batching, rows, seed, epoch):
    """The batches of an epoch."""
    each = batching.rows(seed=seed, epoch=epoch)
    return [{name: values[numbers] for name, values in rows.items()} for numbers in each]


def test_each_batch_holds_so_many_labelled_rows_and_the_others_come_once(rows):
    batching = Batching(rows, batch_size=7, labelled=3)
    each = batches_of(batching, rows, 1, 0)
    assert batching.steps == len(each) == 4  # 14 rows without a label, four at a time
    assert [len(batch["x"]) for batch in each] == [7, 7, 7, 5]
    assert [int((batch["y"] >= 0).sum()) for batch in each] == [3, 3, 3, 3]
    free = torch.cat([batch["index"][batch["y"] < 0] for batch in each])
    assert free.sort().values.tolist() == rows["index"][rows["y"] < 0].tolist()
    for batch in each:
        assert torch.equal(batch["x"], rows["x"][batch["index"]])
        assert torch.equal(batch["y"], rows["y"][batch["index"]])


def test_classes_come_in_turn_and_their_rows_alike(rows):
    """Shares of rows of one class within 5 standard errors: a false alarm in 10^5 runs."""
    batching = Batching(rows, batch_size=7, labelled=3)
    found = [
        batch["index"][batch["y"] >= 0]
        for epoch in range(200)
        for batch in batches_of(batching, rows, 1, epoch)
    ]
    for index in found:
        assert rows["y"][index].sort().values.tolist() == [0, 1, 4]
    drawn = torch.cat(found)
    for label, size in ((0, 5), (1, 3), (4, 1)):
        each = drawn[rows["y"][drawn] == label].bincount(minlength=23)
        share = each[rows["y"] == label] / each.sum()
        assert ((share - 1 / size).abs() <= 5 * (1 / size * (1 - 1 / size) / 800) ** 0.5).all()


def test_batches_are_a_function_of_seed_and_epoch(rows):
    batching = Batching(rows, batch_size=7, labelled=3)

    def order(seed, epoch):
        return torch.cat([b["index"] for b in batches_of(batching, rows, seed, epoch)])

    assert torch.equal(order(1, 2), order(1, 2))
    others = [order(1, 2), order(1, 3), order(2, 2)]
    assert not any(torch.equal(a, b) for a, b in itertools.combinations(others, 2))


def test_labelled_rows_differ_from_epoch_to_epoch(rows):
    batching = Batching(rows, batch_size=7, labelled=3)
    found = [
        torch.cat([b["index"][b["y"] >= 0] for b in batches_of(batching, rows, s, e)])
        for s, e in ((1, 0), (1, 1), (2, 0))
    ]
    assert not any(torch.equal(a, b) for a, b in itertools.combinations(found, 2))


def test_rows_are_counted(rows):
    for labelled in (None, 3):
        batching = Batching(rows, batch_size=7, labelled=labelled)
        sizes = [len(batch["x"]) for batch in batches_of(batching, rows, 1, 0)]
        counted = [batching.rows_after(steps) for steps in range(batching.steps + 1)]
        assert counted == [0, *np.cumsum(sizes)]


@pytest.mark.parametrize("labelled", [0, 7, 8])
def test_a_number_of_labelled_rows_that_leaves_no_others_is_refused(rows, labelled):
    message = rf"labelled_per_batch must be from 1 to 6, below batch_size; got {labelled}"
    with pytest.raises(ValueError, match=message):
        Batching(rows, batch_size=7, labelled=labelled)


@pytest.mark.parametrize(
    ("y", "found"), [(torch.full((23,), -1), "0 and 23"), (torch.ones(23).long(), "23 and 0")]
)
def test_rows_of_one_kind_alone_are_refused(rows, y, found):
    with pytest.raises(ValueError, match=f"labelled_per_batch must be left out .*; got {found}"):
        Batching(rows | {"y": y}, batch_size=7, labelled=3)


def labelled_data():
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(60, 6, generator=generator).lt(0.4).double()
    return keep_labels(from_arrays({"x": x, "y": torch.arange(60) % 3}), 9)


def labelled_pair():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model, guide = m2(6)
    return Experiment(model, guide, SemiSupervised(5.0), labelled_per_batch=4)


@pytest.mark.parametrize("after", [2, 5, 8])
def test_a_run_with_labelled_rows_in_each_batch_is_resumed_exactly(tmp_path, monkeypatch, after):
    keep_every_state(monkeypatch)
    settings = {"pair": labelled_pair, "data": labelled_data(), "epochs": 2}
    whole = train(tmp_path / "whole", **settings)
    stopped(monkeypatch, after, tmp_path / "run", **settings)
    run = train(tmp_path / "run", **settings, resume=True)
    assert_same_history(run, whole)
    assert_same_state(tmp_path / "run", tmp_path / "whole")
    assert Settings.read(tmp_path / "run" / "settings.json").labelled_per_batch == 4


def test_the_history_holds_every_term():
    run = quiet(labelled_pair(), labelled_data(), epochs=1)
    for name in ("labelled_bound", "unlabelled_bound", "cross_entropy"):
        values = run.history[name].values
        assert np.isnan(values[0]) and np.isfinite(values[1])


def test_labels_are_asked_for_on_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["fit", "m2", "--labels", "20", "--label-seed", "2", "--steps", "2", "--threads", "1"]
    assert main([*words, "--out", "run"]) == 0
    assert "20 of 1297 training labels kept" in capsys.readouterr().out
    source = Settings.read(tmp_path / "run" / "settings.json").source
    assert (source.labels, source.label_seed) == (20, 2)


def test_too_few_labels_are_refused_on_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert "labels must be from 10, one a class" in refusal("fit m2 --labels 5", capsys)
