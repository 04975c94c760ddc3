"""Runs that were damaged, and what a run does not admit: refused at the command line."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from refused import refusal, write_faulty_files

from ppvae.cli import main


@pytest.fixture(autouse=True)
def a_folder_with_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_default_dtype(torch.float32)
    monkeypatch.chdir(tmp_path)
    write_faulty_files()


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """The files of two runs that differ in their seed, by name."""
    runs = {}
    for seed in ("0", "1"):
        folder = tmp_path_factory.mktemp("runs") / "run"
        small = ["--hidden", "8", "--latent-dim", "2", "--threads", "1", "--steps", "2", "--quick"]
        assert main(["fit", "vae", *small, "--seed", seed, "--out", str(folder)]) == 0
        runs[seed] = {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}
    return runs


@pytest.fixture
def run(two_runs: dict[str, dict[str, bytes]]) -> Path:
    Path("run").mkdir()
    for name, content in two_runs["0"].items():
        Path("run", name).write_bytes(content)
    return Path("run")


def truncated(run: Path, _: dict[str, bytes]) -> None:
    path = run / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def tampered(run: Path, _: dict[str, bytes]) -> None:
    path = run / "checkpoint.safetensors"
    content = bytearray(path.read_bytes())
    content[-8] ^= 1
    path.write_bytes(content)


def exchanged(run: Path, other: dict[str, bytes]) -> None:
    (run / "checkpoint.safetensors").write_bytes(other["checkpoint.safetensors"])


def other_settings(run: Path, _: dict[str, bytes]) -> None:
    path = run / "settings.json"
    path.write_text(path.read_text().replace('"hidden": 8', '"hidden": 9'))


def broken_settings(run: Path, _: dict[str, bytes]) -> None:
    (run / "settings.json").write_text("{")


def no_settings(run: Path, _: dict[str, bytes]) -> None:
    (run / "settings.json").unlink()


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (truncated, "checkpoint must be whole"),
        (tampered, "checkpoint must be as it was written"),
        (exchanged, "checkpoint must be of the run whose settings.json"),
        (other_settings, "checkpoint must be of"),
        (broken_settings, "settings must be those of a run"),
        (no_settings, "must hold a run"),
    ],
)
@pytest.mark.parametrize("verb", ["evaluate", "sample", "fit --resume"])
def test_a_run_that_is_not_as_it_was_kept_is_refused(
    verb: str, harm: Callable, words: str, run, two_runs, capsys
):
    harm(run, two_runs["1"])
    line = refusal(f"{verb} run", capsys)
    assert re.search(words, line), line


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("fit --resume run --lr 0.1", "must keep its settings, .*; got --lr"),
        ("fit --resume run --hidden 9", "must keep its settings, .*; got --hidden"),
        ("fit --resume run --estimator elbo", "must keep its settings, .*; got --estimator"),
        ("fit --resume run --steps 1", "no fewer steps than were taken, 2; got 1"),
        ("fit good.py --resume run", "run must be of experiment 'vae'; got 'mine'"),
        ("fit --out run", "folder must be a new one"),
        ("fit --resume gone", "folder must hold a run to resume"),
        ("evaluate", "one or more run folders must be named"),
        ("evaluate gone", "folder must hold a run"),
        ("evaluate run --num-particles 0", "num_particles must be at least 1; got 0"),
        ("evaluate run --split tset", "--split must be one of .*; did you mean 'test'"),
        ("evaluate run run --out e.nc", "--out must go with one run; got 2"),
        ("sample run --given y=3", "given must name sites of the model, .*; got 'y'"),
        ("sample run --given y", "--given must be written SITE=NUMBER, .*; got 'y'"),
        ("sample run --num-rows 0", "num_rows must be at least 1; got 0"),
        ("sample run --out picture.doc", "picture must end in .png, .pdf or .svg"),
        ("sample run --out file/picture.png", "a folder that exists; got file/picture.png"),
        ("sample run run", "one run folder must be named"),
    ],
)
def test_what_a_run_does_not_admit_is_refused(command, words, run, capsys):
    line = refusal(command, capsys)
    assert re.search(words, line), line
