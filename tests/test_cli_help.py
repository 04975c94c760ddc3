"""What the command line says of itself, and that it says it at once."""

import subprocess
import sys

import pytest
import torch

import ppvae.data
from ppvae.cli import main
from ppvae.cli.compare import ESTIMATORS, SEVERAL
from ppvae.cli.outline import outlines
from ppvae.compare.plan import entries
from ppvae.data import from_arrays
from ppvae.experiment import built_in, find_recipe
from ppvae.named import NAMES, name_of


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(list(words)) == 0
    return capsys.readouterr().out


def test_the_first_line_names_the_estimators_that_compare_would_take():
    data, pair = from_arrays({"x": torch.rand(3, 2)}), find_recipe("vae")
    for recipes, names in (([pair], ESTIMATORS), ([pair, find_recipe("vampprior")], SEVERAL)):
        found = [name_of(each.estimator) for each in entries(recipes, data, None)]
        assert found == list(names) * len(recipes)


def test_list_names_all_there_is(capsys):
    out = said(capsys, "list")
    for name in [*built_in(), *ppvae.data.NAMES, *NAMES]:
        assert f"  {name} " in out
    assert max(map(len, out.splitlines())) <= 100


def test_outlines_say_what_running_the_files_says():
    for each in outlines():
        recipe = find_recipe(each.name)
        assert (each.name, each.summary, each.data, each.estimators) == (
            recipe.name,
            recipe.summary,
            recipe.data.name,
            recipe.estimators,
        )
    assert [each.name for each in outlines()] == built_in()


@pytest.mark.parametrize("name", built_in())
@pytest.mark.parametrize("verb", ["fit", "compare", "gradients", "check"])
def test_help_has_every_option_of_an_experiment(verb, name, capsys):
    out = said(capsys, verb, name, "--help")
    for option in find_recipe(name).schema.values():
        assert f"--{option.name.replace('_', '-')}" in out
        assert f"(default: {option.default})" in " ".join(out.split())


@pytest.mark.parametrize(
    "verb", ["fit", "compare", "gradients", "evaluate", "sample", "impute", "check"]
)
def test_every_verb_has_quick(verb, capsys):
    assert "--quick" in said(capsys, verb, "--help")


@pytest.mark.parametrize("words", [[], ["--help"], ["fit", "--help"], ["--version"], ["fti"]])
def test_torch_is_not_imported_to_print_help(words):
    code = (
        "import sys; from ppvae.cli import main; main(sys.argv[1:]); "
        "sys.exit(7 * bool({'torch', 'pyro', 'numpy'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, check=False)
    assert done.returncode == 0
