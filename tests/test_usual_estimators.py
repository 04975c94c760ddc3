"""An experiment may say which estimators are put side by side unless told otherwise."""

import pytest
import torch

from ppvae.cli.outline import outline, usual_estimators
from ppvae.compare.plan import default_estimators, entries
from ppvae.data import from_arrays
from ppvae.experiment import built_in, find_recipe
from ppvae.named import estimator_named, name_of

OWN = """
from ppvae import Experiment

ESTIMATORS = ("iwae:7", "elbo")

def mine(data) -> Experiment:
    return Experiment(model=lambda x: x, guide=lambda x: x)
"""


@pytest.fixture
def mine(tmp_path):
    (tmp_path / "mine.py").write_text(OWN)
    return str(tmp_path / "mine.py")


def labels(recipes):
    data = from_arrays({"x": torch.rand(3, 2)})
    return [name_of(entry.estimator) for entry in entries(recipes, data, None)]


def test_an_experiments_own_estimators_are_compared(mine):
    assert labels(find_recipe(mine)) == ["iwae:7", "elbo"]


def test_the_usual_estimators_are_compared_where_an_experiment_names_none():
    assert labels(find_recipe("vae")) == [name_of(each) for each in default_estimators()]


def test_of_several_experiments_the_first_that_names_some_decides(mine):
    recipes = [find_recipe("vae"), find_recipe(mine)]
    assert labels(recipes) == ["iwae:7", "elbo"] * 2
    assert usual_estimators(["vae", mine], ("elbo",)) == ("iwae:7", "elbo")
    assert usual_estimators(["vae"], ("elbo",)) == ("elbo",)


def test_own_estimators_are_known_before_the_file_is_run(mine):
    found = outline(mine)
    assert found is not None
    assert found.estimators == find_recipe(mine).estimators == ("iwae:7", "elbo")


@pytest.mark.parametrize("name", built_in())
def test_own_estimators_of_built_in_experiments_are_known(name):
    for estimator in find_recipe(name).estimators:
        assert name_of(estimator_named(estimator)) == estimator
