"""Bad input at the command line: one sentence, exit code 2, nothing half-written."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from refused import refusal, tree, write_faulty_files

from ppvae.cli import main


@pytest.fixture(autouse=True)
def a_folder_with_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_default_dtype(torch.float32)
    monkeypatch.chdir(tmp_path)
    write_faulty_files()


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
        ("fit --threads 0", "--threads must be at least 1; got 0"),
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
        ("iwae:five", "estimator must be written iwae:K; got 'iwae:five'"),
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
        ("fit mixture --no-enumerate --estimator iwae:5", "IWAE needs .* got 'y'"),
        ("fit bernoulli-latents --estimator iwae:5+dreg", "IWAE needs .* got 'z'"),
        ("fit mixture --estimator msc:3", "ScoreClimbing must draw every latent site"),
        ("gradients bernoulli-latents --estimators elbo", "ELBO needs .* got 'z'"),
        ("gradients vae --estimators warm-up:0.3", "must be told how many steps"),
        ("fit --estimator warm-up:inf", "fraction must be above 0 and at most 1; got inf"),
        ("fit --estimator warm-up:2", "fraction must be above 0 and at most 1; got 2"),
        ("fit --estimator tvo:0:5", "partitions must be at least 1; got 0"),
        ("fit --estimator cubo:1:5", "order must be finite and above 1"),
    ],
)
def test_an_estimator_that_cannot_treat_the_pair_is_refused_before_work(command, words, capsys):
    line = refusal(f"{command} --out new", capsys)
    assert re.search(words, line), line


def test_a_comparison_whose_estimator_is_refused_leaves_nothing_behind(capsys):
    before = tree(Path())
    command = "compare mixture --no-enumerate --estimators elbo --out new"
    assert main(command.split()) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert re.search("ppvae: ELBO needs .* got 'y'", last), last
    assert tree(Path()) == before


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
        ("fit conv-vae --data six.npy", r"H and W multiples of 4; got \(1, 6, 6\)"),
        ("fit latents.py", "same latent sites"),
        ("fit flow3.py", r"'z' of the guide must have the event shape .*, \(2,\); got \(3,\)"),
        ("fit uneven.py", "the guide must run on a batch of the data; got: "),
        ("fit levels.py --data above.npy", "multiples of 1/255 from 0 to 1; got"),
        ("fit levels.py --data between.npy", "multiples of 1/255 from 0 to 1; got"),
        ("fit vampprior --components 5000", "the number of training rows, 1297, .*; got 5000"),
        ("fit vampprior --components 0", "components must lie between 1 and .*; got 0"),
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
