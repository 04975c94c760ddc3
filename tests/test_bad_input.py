"""Bad input at the command line: one sentence, exit code 2, nothing half-written."""

import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ppvae.cli import main

PAIR = """
from torch import nn
from ppvae import Experiment
from ppvae.data import Data
from ppvae.distributions import BernoulliLikelihood, StandardNormal
from ppvae.guides import GaussianGuide
from ppvae.models import VAE
from ppvae.networks import ConvDecoder

def {name}(data: Data, width: int = 2) -> Experiment:
    decoder = {decoder}
    model = VAE(decoder, StandardNormal(width), BernoulliLikelihood())
    return Experiment(model, {guide}, epochs=1)
"""
LINEAR = "nn.Linear(width, data.data_dim)"
GUIDE = "GaussianGuide(nn.Linear(data.data_dim, 2 * width))"
OTHER_SITE = """
import pyro, pyro.distributions as dist
def other(x):
    with pyro.plate("data", len(x)):
        pyro.sample("code", dist.Normal(x.new_zeros(len(x), 2), 1.0).to_event(1))
"""


def pair_text(name: str = "mine", decoder: str = LINEAR, guide: str = GUIDE) -> str:
    return PAIR.format(name=name, decoder=decoder, guide=guide)


FILES = {
    "good.py": pair_text(),
    "conv28.py": pair_text(decoder="ConvDecoder(width, (1, 28, 28))"),
    "latents.py": OTHER_SITE + pair_text(guide="other"),
    "syntax.py": "def mine(data:\n",
    "raises.py": "import nowhere_to_be_found\n",
    "two.py": pair_text("one") + pair_text("two"),
    "none.py": "x = 1\n",
    "taken.py": pair_text().replace("width", "epochs"),
    "undefaulted.py": pair_text().replace("width: int = 2", "width: int"),
    "bound.py": "class Bound: pass\n",
    "words.txt": "no data\n",
}


@pytest.fixture(autouse=True)
def a_folder_with_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_default_dtype(torch.float32)
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        Path(name).write_text(text)
    x = np.random.default_rng(0).random((20, 4))
    np.save("grey.npy", x)
    x[3, 2] = np.nan
    np.save("nan.npy", x)
    np.save("objects.npy", np.array([{"run": "me"}]), allow_pickle=True)
    Path("pickled.pt").write_bytes(pickle.dumps({"x": print}))
    Path("file").write_text("a file is no folder")


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """The files of two runs that differ in their seed, by name."""
    runs = {}
    for seed in ("0", "1"):
        folder = tmp_path_factory.mktemp("runs") / "run"
        small = ["--hidden", "8", "--latent-dim", "2", "--steps", "2", "--quick"]
        assert main(["fit", "vae", *small, "--seed", seed, "--out", str(folder)]) == 0
        runs[seed] = {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}
    return runs


@pytest.fixture
def run(two_runs: dict[str, dict[str, bytes]]) -> Path:
    Path("run").mkdir()
    for name, content in two_runs["0"].items():
        Path("run", name).write_bytes(content)
    return Path("run")


def tree(folder: Path) -> dict[str, bytes | None]:
    paths = [path for path in folder.rglob("*") if "__pycache__" not in path.parts]
    return {str(path): path.read_bytes() if path.is_file() else None for path in paths}


def refusal(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a command is refused with, which leaves no trace on the disk."""
    before = tree(Path())
    assert main(command.split()) == 2
    lines = capsys.readouterr().err.splitlines()
    print(lines)
    assert len(lines) == 1
    assert lines[0].startswith("ppvae: ")
    assert tree(Path()) == before
    return lines[0]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("fti vae", "verb must be one of fit, .* Did you mean 'fit'"),
        ("fit vea", "experiment must be one of .* Did you mean 'vae'"),
        ("fit vae good.py", "one experiment must be named; got vae, good.py"),
        ("fit --data digit", "data must be digits, .* got 'digit'. Near names: digits"),
        ("fit --epoch 3", "option --epoch is not known; did you mean --epochs"),
        ("fit good.py --widht 3", "option --widht is not known; did you mean --width"),
        ("fit good.py --width __import__('os')", "--width must be a whole number"),
        ("fit --latent-dim 3 good.py", "experiments must come before their options"),
        ("fit --width 3 vae", "option --width is not known"),
        ("fit --epochs", "--epochs must have a value"),
        ("fit --epochs 2.5", "--epochs must be a whole number; got '2.5'"),
        ("fit --epochs 2 --steps 2", "--steps must not be given with --epochs"),
        ("fit --epochs 0", "epochs must be at least 1; got 0"),
        ("fit --steps 0", "steps must be at least 1; got 0"),
        ("fit --batch-size 0", "batch_size must be at least 1; got 0"),
        ("fit --patience 0", "patience must be at least 1; got 0"),
        ("fit --lr -1e-3", "lr must be positive and finite; got -0.001"),
        ("fit --lr nan", "lr must be positive and finite; got nan"),
        ("fit --clip-norm -1", "clip_norm must be positive and finite; got -1"),
        ("fit --seed -1", "--seed must be between 0 and .*; got -1"),
        ("fit --device cuba", "device must be auto, cpu or a GPU of this machine; got 'cuba'"),
        ("fit --binarize nonne", "--binarize must be one of .*; did you mean 'none'"),
        ("list vae", "list must stand alone; got 'vae'"),
    ],
)
def test_a_word_that_does_not_fit_is_refused(command, words, capsys):
    line = refusal(command, capsys)
    assert re.search(words, line), line


@pytest.mark.parametrize(
    ("estimator", "words"),
    [
        ("elbow", "estimator must be one of .* Did you mean 'elbo'"),
        ("iwae:0", "num_particles must be at least 1; got 0"),
        ("iwae:five", "estimator must be written NAME:K; got 'iwae:five'"),
        ("renyi:1:5", "alpha must"),
        ("bound.py:Bound", "estimator must name a class of bound.py"),
        ("gone.py:Bound", "must be readable; got gone.py"),
    ],
)
@pytest.mark.parametrize("verb", ["fit --estimator", "compare --estimators elbo"])
def test_an_estimator_that_does_not_exist_is_refused(verb, estimator, words, capsys):
    line = refusal(f"{verb} {estimator} --out new", capsys)
    assert re.search(words, line), line


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("fit --data nan.npy", "x in .* must be finite .*; got nan in row 3"),
        ("fit --binarize none", "must lie in the support of Bernoulli; got 0"),
        ("fit --data grey.npy", "must lie in the support of Bernoulli; got 0"),
        ("fit --data gone.npy", "data file or folder must exist; got .*gone.npy"),
        ("fit --data gone/", "data file or folder must exist; got .*gone"),
        ("fit --data words.txt", "data file must end in .npy, .npz, .pt"),
        ("fit --data objects.npy", "plain arrays; got pickled objects"),
        ("fit --data pickled.pt", "plain arrays; got pickled objects"),
        ("fit --data mnist --data-dir file", "MNIST must lie in .*file|No such|usable"),
        ("fit --image-size 3", "image_size, crop and channels must be left out"),
        ("fit conv28.py", "decoder must be as wide as x, 64; got 784"),
        ("fit latents.py", "same latent sites"),
        ("fit syntax.py", "must be valid Python; got syntax.py, line 1"),
        ("fit raises.py", "must run; got raises.py: ModuleNotFoundError"),
        ("fit two.py", r"one experiment, .* it has \['one', 'two'\] \(write two.py:one\)"),
        ("fit two.py:three", "two.py must have experiment 'three'"),
        ("fit none.py", r"must have one experiment, .* it has \[\]"),
        ("fit gone.py", "must be readable; got gone.py"),
        ("fit taken.py", "option 'epochs' of experiment 'mine' must have another name"),
        ("fit undefaulted.py", "must be an int, float, bool or str with a default"),
    ],
)
@pytest.mark.parametrize("verb", ["fit", "compare"])
def test_data_and_pairs_that_break_a_rule_are_refused(verb, command, words, capsys):
    line = refusal(f"{command.replace('fit', verb, 1)} --out new", capsys)
    assert re.search(words, line), line


@pytest.mark.parametrize("command", ["fit good.py --epochs 1", "compare good.py --epochs 1"])
@pytest.mark.parametrize("out", ["file/run", "/proc/run"])
def test_a_folder_that_cannot_be_written_is_refused(command, out, capsys):
    assert out in refusal(f"{command} --out {out}", capsys)


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
        ("fit good.py --resume run", "options of experiment 'mine' are .*; got 'hidden'"),
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


@pytest.mark.parametrize(
    "command", ["fit --data gone.npy", "fit syntax.py", "compare --estimators elbow"]
)
def test_a_process_ends_with_code_2_and_one_line(command):
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    done = subprocess.run(
        [sys.executable, "-m", "ppvae", *command.split()],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "Traceback" not in done.stdout + done.stderr
