"""Experiments are found by name or file, know their options, and are built from a seed."""

import random

import numpy
import pytest
import torch

from ppvae import ELBO, Experiment
from ppvae.data import Source, from_arrays
from ppvae.experiment import Recipe, build, built_in, find_recipe

HEAD = """
import torch
from torch import nn
from ppvae import Experiment
from ppvae.data import Data, Source
"""
MINE = (
    HEAD
    + '''
DATA = Source("digits", binarize="none")
SHARED = 3

def helper(data):
    return data

def my_pair(data: Data, width: int = SHARED, rate: float = 0.1, deep: bool = False,
            kind: str = "tanh", untold=7) -> Experiment:
    """What does width buy?

    Args:
        data: rows, (N, P).
        width: of the code,
            in all layers.
        rate: how fast.
        kind: of units.

    Returns:
        untold: not an option's help.
    """
    net = nn.Linear(data.data_dim, width)
    net.rate = rate
    return Experiment(model=net, guide=lambda x: x)
'''
)
TWO = (
    HEAD
    + """
def first(data: Data) -> Experiment: ...
def second(data: Data) -> "Experiment": ...
"""
)


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def written(text, name="mine.py"):
        (tmp_path / name).write_text(text)
        return tmp_path.resolve() / name

    return written


@pytest.fixture
def data():
    return from_arrays({"x": torch.rand(20, 4)})


@pytest.mark.parametrize("name", built_in())
def test_every_built_in_experiment_is_found_by_its_name(name):
    recipe = find_recipe(name)
    assert (recipe.name, recipe.path) == (name, None)
    assert recipe.summary and all(option.help for option in recipe.schema.values())


@pytest.mark.parametrize("name", ["linear-gaussian", "linear_gaussian"])
def test_a_built_in_name_may_be_written_either_way(name):
    assert find_recipe(name).name == "linear-gaussian"


def test_an_experiment_is_found_in_a_file(write):
    path = write(MINE)
    recipe = find_recipe("mine.py")
    assert (recipe.name, recipe.path) == ("my-pair", str(path))
    assert recipe.summary == "What does width buy?"
    assert recipe.source_text == MINE


def test_data_of_a_file_are_those_it_names(write):
    write(MINE)
    write(TWO, "two.py")
    assert find_recipe("mine.py").data == Source("digits", binarize="none")
    assert find_recipe("two.py:first").data == Source("digits")


@pytest.mark.parametrize("name", ["first", "second"])
def test_one_of_two_experiments_is_found_by_its_name(write, name):
    write(TWO)
    assert find_recipe(f"mine.py:{name}").name == name


def test_an_experiment_imported_from_elsewhere_is_not_the_files_own(write):
    write(MINE + "\nfrom ppvae.examples.vae import vae\n")
    assert find_recipe("mine.py").name == "my-pair"


def test_a_file_may_define_dataclasses_under_postponed_annotations(write):
    text = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        + MINE
        + "\n@dataclass\nclass Sizes:\n    width: int = 3\n"
    )
    write(text)
    assert find_recipe("mine.py").schema["width"].kind is int


def test_what_runs_is_the_text_as_it_is_now(write):
    write(MINE)
    assert find_recipe("mine.py").schema["width"].default == 3
    write(MINE.replace("SHARED = 3", "SHARED = 4"))
    assert find_recipe("mine.py").schema["width"].default == 4


def test_running_a_file_leaves_nothing_beside_it(write, tmp_path):
    write(MINE)
    find_recipe("mine.py")
    assert [file.name for file in tmp_path.iterdir()] == ["mine.py"]


def test_a_file_may_have_the_name_of_a_library(write):
    write(MINE, "torch.py")
    assert find_recipe("torch.py").name == "my-pair"
    assert find_recipe("vae").name == "vae"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def vae(:\n", r"experiment file must be valid Python; got mine\.py, line 1: "),
        (HEAD, r"mine\.py must have one experiment, .*; it has \[\] \(write def pair\(data\)"),
        (
            TWO,
            r"must have one experiment, .* it has \['first', 'second'\] \(write mine\.py:first\)",
        ),
        ("1 / 0", r"experiment file must run; got mine\.py: ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", r"experiment file must run; got mine\.py: SystemExit: 3"),
        ("import no_such_module_at_all", "must run; got .*ModuleNotFoundError"),
    ],
)
def test_a_file_without_one_experiment_is_refused(write, text, message):
    write(text)
    with pytest.raises(ValueError, match=message):
        find_recipe("mine.py")


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "mine.py").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"experiment file must be readable; got .*mine\.py"):
        find_recipe(str(tmp_path / "mine.py"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("vea", r"experiment must be one of .*vae.* or a file my_pair\.py; got 'vea'\. .* 'vae'\?"),
        ("", "experiment must be one of .*; got ''"),
        ("../vae", "experiment must be one of .*; got '../vae'"),
        ("gone.py", r"experiment file must be readable; got gone\.py"),
        ("mine.py:third", r"mine\.py must have experiment 'third'; it has \['my_pair'\]"),
    ],
)
def test_an_unknown_experiment_is_refused(write, name, message):
    write(MINE)
    with pytest.raises(ValueError, match=message):
        find_recipe(name)


def test_options_come_from_signature_and_docstring(write):
    write(MINE)
    schema = find_recipe("mine.py").schema
    assert [(o.name, o.kind, o.default, o.help) for o in schema.values()] == [
        ("width", int, 3, "of the code, in all layers."),
        ("rate", float, 0.1, "how fast."),
        ("deep", bool, False, ""),
        ("kind", str, "tanh", "of units."),
        ("untold", int, 7, ""),
    ]


@pytest.mark.parametrize("option", ["width", "width: int", "width: list = []", "**options"])
def test_an_option_that_cannot_be_typed_is_refused(write, option):
    write(HEAD + f"def pair(data: Data, {option}) -> Experiment: ...\n")
    with pytest.raises(TypeError, match="options of experiment 'pair' must be an int, float, bool"):
        _ = find_recipe("mine.py").schema


def test_an_experiment_is_built_with_the_options_that_were_chosen(write, data):
    write(MINE)
    experiment = build(find_recipe("mine.py"), data, width=2, rate=0.5)
    assert experiment.model.weight.shape == (2, 4)
    assert experiment.model.rate == 0.5
    chosen = {"width": 2, "rate": 0.5, "deep": False, "kind": "tanh", "untold": 7}
    assert experiment.recipe.options == chosen


def test_equal_seeds_give_equal_weights_and_others_give_others(write, data):
    write(MINE)
    recipe = find_recipe("mine.py")
    first, again, other = (build(recipe, data, seed=seed).model.weight for seed in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.isclose(first, other).any()


def test_building_leaves_the_global_generators_alone(write, data):
    write(MINE)
    recipe = find_recipe("mine.py")
    before = torch.get_rng_state(), random.getstate(), numpy.random.get_state()[1].tolist()
    build(recipe, data, seed=5)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert numpy.random.get_state()[1].tolist() == before[2]


def test_an_unknown_option_is_refused(write, data):
    write(MINE)
    with pytest.raises(ValueError, match=r"options of experiment 'my-pair' are .*; got 'widht'"):
        build(find_recipe("mine.py"), data, widht=2)


def test_a_function_that_returns_no_experiment_is_refused(data):
    recipe = Recipe("odd", lambda data: (1, 2), None, "")
    with pytest.raises(TypeError, match="experiment 'odd' must return an Experiment; got tuple"):
        build(recipe, data)


def test_the_recorded_hash_is_that_of_the_text(write):
    write(MINE)
    first = find_recipe("mine.py").sha256
    assert find_recipe("mine.py").sha256 == first
    write(MINE + "\n# another line\n")
    assert find_recipe("mine.py").sha256 != first


def test_an_experiment_is_optimised_by_the_elbo_unless_told_otherwise():
    estimator = Experiment(lambda x: x, lambda x: x).estimator
    assert type(estimator) is ELBO and estimator.num_particles == 1 and not estimator.analytic_kl
