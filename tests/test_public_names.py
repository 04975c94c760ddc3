"""The names of `import ppvae`, which are imported when they are used."""

import ast
import importlib
import inspect
from pathlib import Path

import pytest

import ppvae


@pytest.mark.parametrize("name", ppvae.__all__)
def test_a_public_name_is_no_module_even_if_a_module_is_called_so(name):
    assert not inspect.ismodule(getattr(ppvae, name))
    assert name in dir(ppvae)


def test_type_checkers_see_the_names_that_are_there():
    tree = ast.parse(Path(ppvae.__file__).read_text())
    seen = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module.startswith("ppvae.")
        for alias in node.names
    }
    assert sorted(seen) == sorted(ppvae.__all__)
    for name, home in seen.items():
        assert getattr(ppvae, name) is getattr(importlib.import_module(home), name)


def test_modules_are_found_too():
    import ppvae.data

    assert inspect.ismodule(ppvae.data)
    assert inspect.ismodule(importlib.import_module("ppvae.fit"))
