"""Settings of a run: what decides its numbers, what may change, and what a file must hold."""

import dataclasses
import json

import pyro
import pytest
import torch
from trainings import line_data, line_pair, quiet

from ppvae.data import Source
from ppvae.run import CHECKPOINT, SETTINGS
from ppvae.settings import Settings

KEPT = Settings(
    experiment="my-pair",
    experiment_path="/somewhere/mine.py",
    experiment_sha256="ab",
    options={"hidden": 5, "rate": 0.1},
    data={"name": "digits", "binarize": "once"},
    data_fingerprint="cd",
    estimator="iwae:5",
    epochs=3,
    steps=None,
    batch_size=10,
    lr=1 / 3,
    optimizer="Adam(lr=0.333333)",
    clip_norm=None,
    patience=None,
    seed=0,
    device="cpu",
    threads=1,
    compile="auto",
    versions={"torch": "2.15"},
)
# How long a run goes on, where its file is, and what it was run with.
FREE = {"epochs", "steps", "threads", "versions", "experiment_path", "experiment_sha256"}
CHANGED = {
    **{name: "other" for name in ("experiment", "experiment_path", "experiment_sha256")},
    **{name: "other" for name in ("data_fingerprint", "estimator", "optimizer", "device")},
    **{name: 7 for name in ("epochs", "steps", "batch_size", "patience", "seed", "threads")},
    "labelled_per_batch": 7,
    **{name: 0.25 for name in ("lr", "clip_norm")},
    "compile": "replay",
    "options": {"hidden": 6, "rate": 0.1},
    "data": {"name": "digits", "binarize": "dynamic"},
    "versions": {"torch": "2.16"},
}


def test_settings_come_back_from_their_file(tmp_path):
    (tmp_path / SETTINGS).write_text(KEPT.to_json())
    again = Settings.read(tmp_path / SETTINGS)
    assert again == KEPT
    assert again.identity == KEPT.identity
    assert again.source == Source("digits", binarize="once")


def test_every_setting_has_a_change_to_be_tried():
    assert CHANGED.keys() == {field.name for field in dataclasses.fields(Settings)}


@pytest.mark.parametrize("name", CHANGED)
def test_a_setting_that_decides_numbers_makes_another_run(name):
    other = dataclasses.replace(KEPT, **{name: CHANGED[name]})
    if name in FREE:
        assert (KEPT.difference(other), other.identity) == (None, KEPT.identity)
    else:
        words = f"{name} {CHANGED[name]!r} instead of {getattr(KEPT, name)!r}"
        assert KEPT.difference(other) == words
        assert other.identity != KEPT.identity


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "Expecting property name"),
        (b"\xff", "can't decode byte 0xff"),
        (b"[1, 2]", "must be a mapping, not list"),
        (b"{}", "missing .* required"),
        ({"colour": "red"}, "unexpected keyword argument 'colour'"),
        ({"threads": 0}, "threads is 0"),
        ({"threads": "many"}, "threads is 'many'"),
        ({"compile": "fast"}, "compile is 'fast'"),
        ({"compile": None}, "compile is None"),
        ({"epochs": None}, "epochs is None"),
        ({"steps": 2.5}, "steps is 2.5"),
        ({"lr": "0.1"}, "lr is '0.1'"),
        ({"options": [1]}, r"options is \[1\]"),
        ({"data": {"name": "digits", "sise": 3}}, "unexpected keyword argument 'sise'"),
        ({"data": {}}, "missing .* 'name'"),
    ],
)
def test_a_file_that_holds_no_settings_is_refused(tmp_path, content, message):
    path = tmp_path / SETTINGS
    if isinstance(content, dict):
        content = json.dumps({**dataclasses.asdict(KEPT), **content}).encode()
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"settings must be those of a run; got .*: .*{message}"):
        Settings.read(path)


def tampered(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize("changes", [{"seed": 9}, {"lr": 0.5}, {"data_fingerprint": "ef"}])
def test_tampered_settings_are_refused(tmp_path, changes):
    quiet(line_pair(), line_data(), epochs=1, folder=tmp_path)
    tampered(tmp_path / SETTINGS, **changes)
    name = next(iter(changes))
    with pytest.raises(
        ValueError, match=f"must keep the settings of the run; got {name} .* instead"
    ):
        quiet(line_pair(), line_data(), epochs=1, folder=tmp_path, resume=True)


def test_tampered_settings_that_are_asked_for_are_refused_by_the_checkpoint(tmp_path):
    quiet(line_pair(), line_data(), epochs=1, folder=tmp_path)
    tampered(tmp_path / SETTINGS, seed=9)
    before = (tmp_path / CHECKPOINT).read_bytes()
    with pytest.raises(ValueError, match="checkpoint must be of the run whose settings"):
        quiet(line_pair(), line_data(), epochs=1, seed=9, folder=tmp_path, resume=True)
    assert (tmp_path / CHECKPOINT).read_bytes() == before


def test_settings_that_decide_no_numbers_may_be_edited(tmp_path):
    quiet(line_pair(), line_data(), epochs=1, folder=tmp_path)
    tampered(tmp_path / SETTINGS, versions={"torch": "another"}, epochs=9)
    run = quiet(line_pair(), line_data(), epochs=2, folder=tmp_path, resume=True)
    assert run.settings.epochs == 2


def test_a_resume_runs_on_as_many_threads_as_the_run_began_with(tmp_path):
    quiet(line_pair(), line_data(), epochs=1, folder=tmp_path)
    before = torch.get_num_threads()
    tampered(tmp_path / SETTINGS, threads=before + 1)
    seen = []
    quiet(
        line_pair(),
        line_data(),
        epochs=2,
        folder=tmp_path,
        resume=True,
        watch=lambda pair: seen.append(torch.get_num_threads()) or {},
    )
    assert (set(seen), torch.get_num_threads()) == ({before + 1}, before)


def test_settings_name_the_optimizer_in_the_same_words_in_every_process(tmp_path):
    optim = pyro.optim.Adam(lambda name: {"lr": 0.01}, lambda name: {"clip_norm": 1.0})
    run = quiet(line_pair(), line_data(), epochs=1, optim=optim)
    assert run.settings.optimizer == "Adam(<lambda>, <lambda>)"
    assert quiet(line_pair(), line_data(), epochs=1, lr=0.5).settings.optimizer == "Adam(lr=0.5)"
