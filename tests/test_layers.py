"""The layers of ARCHITECTURE.md, kept by reading every import with ast."""

import ast
import configparser
import graphlib
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {name: ROOT / name for name in ("ppvae", "models", "guides", "examples")}
SHIPPED = ("ppvae.models", "ppvae.guides", "ppvae.examples")
PROGRAM_IMPORTS = ("pyro", "torch", "ppvae.networks", "ppvae.distributions")
MAX_FUNCTION_LINES = 40
MAX_FILE_LINES = {"ppvae": 250, "models": 120, "guides": 120, "examples": 180, "tests": 250}

# Lowest first; a module imports from its own layer, without cycles, and from those before it.
LAYERS = (
    ("networks", "distributions", "data", "generators", "threads", "capturing", "live_bytes"),
    ("scope", "pair"),
    (
        *("tracing", "sites", "closed_form", "rerun", "site_terms", "terms", "draws"),
        *("dependencies", "exact", "given", "ancestral", "dreams"),
    ),
    ("schedules", "estimators", "monotone", "em", "coordinate_ascent"),
    ("capture", "diagnose", "fused_adam", "objective", "optimizer", "svi", "whole_step"),
    (
        *("check_gradients", "check_latents", "check_particles", "check"),
        *("own_file", "experiment", "kinds", "names", "named"),
    ),
    (
        *("settings", "state", "training", "atomic", "netcdf", "checkpoint", "explain"),
        *("keeper", "progress", "run", "prepare", "suits", "fitting", "fit", "runs"),
    ),
    (
        *("means", "passes", "generate", "codes", "impute", "latents", "walks", "traversals"),
        "sharpness",
        *("by_class", "predict", "plot"),
    ),
    (
        *("arviz_bridge", "arviz_draws", "to_arviz", "evaluate", "refine", "inference_gaps"),
        *("intervals", "verdict", "report", "compare", "bench", "testing"),
    ),
    ("__init__",),
    ("cli", "__main__"),
)
LAYER = {name: number for number, names in enumerate(LAYERS) for name in names}


def module_name(path: Path) -> str:
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    if parts[0] != "ppvae":
        parts.insert(0, "ppvae")
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {
    module_name(path): path for folder in FOLDERS.values() for path in sorted(folder.rglob("*.py"))
}
LIBRARY = [name for name in FILES if not name.startswith(SHIPPED)]
PROGRAMS = [name for name in FILES if name.startswith(("ppvae.models.", "ppvae.guides."))]
EVERY_FILE = [*FILES.values(), *sorted((ROOT / "tests").rglob("*.py"))]
each_file = pytest.mark.parametrize("path", EVERY_FILE, ids=lambda p: str(p.relative_to(ROOT)))


def imports(path: Path) -> set[str]:
    """Absolute names of all modules that a file imports, at its top or inside functions."""
    package = module_name(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            outer = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*outer, *filter(None, [node.module])])
            names = {f"{base}.{alias.name}" for alias in node.names}
            found |= {name for name in names if name in FILES}
            if not names <= FILES.keys():
                found.add(base)
    return found


def layer(name: str) -> int:
    first = [*name.split("."), "__init__"][1]
    if first not in LAYER:
        pytest.fail(f"give it a layer: {name} is not in LAYERS of tests/test_layers.py")
    return LAYER[first]


@pytest.mark.parametrize("name", LIBRARY)
def test_a_module_imports_only_from_its_layer_and_below(name):
    own = layer(name)
    ours = {other for other in imports(FILES[name]) if other.split(".")[0] == "ppvae"}
    above = [other for other in ours if not other.startswith(SHIPPED) and layer(other) > own]
    assert not above, f"{name} imports {above} from a layer above"


@pytest.mark.parametrize("name", LIBRARY)
def test_the_library_imports_no_model_guide_or_example(name):
    assert not [other for other in imports(FILES[name]) if other.startswith(SHIPPED)]


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_model_or_guide_file_stands_on_pyro_torch_and_parts_alone(name):
    foreign = [
        other
        for other in imports(FILES[name])
        if other.split(".")[0] not in sys.stdlib_module_names
        and not any(f"{other}.".startswith(f"{allowed}.") for allowed in PROGRAM_IMPORTS)
    ]
    assert not foreign, f"{name} imports {foreign}"


def test_no_imports_run_in_a_circle():
    graph = {name: imports(path) & FILES.keys() for name, path in FILES.items()}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(f"imports run in a circle: {' -> '.join(error.args[1])}")


@each_file
def test_mapped_folders_are_imported_as_ppvae(path):
    bare = {name.split(".")[0] for name in imports(path)} & (FOLDERS.keys() - {"ppvae"})
    assert not bare, f"write ppvae.{' and ppvae.'.join(sorted(bare))}"


@pytest.mark.parametrize("name", FILES)
def test_every_module_has_dunder_all(name):
    if name.endswith("__main__"):
        pytest.skip("a script exports nothing")
    targets = {
        target.id
        for node in ast.parse(FILES[name].read_text()).body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    assert "__all__" in targets


@each_file
def test_no_file_outgrows_its_limit(path):
    limit = MAX_FILE_LINES[path.relative_to(ROOT).parts[0]]
    assert len(path.read_text().splitlines()) <= limit


@each_file
def test_no_function_outgrows_its_limit(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = node.end_lineno - node.lineno + 1
            if ast.get_docstring(node):
                length -= node.body[0].end_lineno - node.body[0].lineno + 1
            assert length <= MAX_FUNCTION_LINES, f"{node.name} has {length} lines of code"


@each_file
def test_no_file_is_a_drawer(path):
    assert path.stem not in {"utils", "util", "helpers", "misc", "common"}


def test_every_package_is_listed_in_setup_cfg():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    listed = setup["options"]["packages"].split()
    folders = {module_name(path / "__init__.py") for path in {f.parent for f in FILES.values()}}
    assert sorted(listed) == sorted(folders | {"ppvae"})
