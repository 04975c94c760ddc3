"""Does a test notice? Each fault of mutations.toml is patched into a copy, and its test must fail.

python tests/mutations.py               all faults; exit code 1 if one survives
python tests/mutations.py sign plate    those with such a word in their names
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "tests" / "mutations.toml"
PROCESSES = 2
MAPPED = ("models", "guides", "examples")
# A test run from the clone could import the clone: this one refuses to.
PLUGIN = """
import pathlib
import ppvae, ppvae.models
for package in (ppvae, ppvae.models):
    found = pathlib.Path(package.__file__).resolve()
    if not found.is_relative_to(pathlib.Path.cwd().resolve()):
        raise RuntimeError(f"the copy must be tested; got {found}")
"""


class Fault(NamedTuple):
    """A patch that makes the library wrong, and the test that says so."""

    name: str
    file: str
    old: str
    new: str
    test: str


class Outcome(NamedTuple):
    """What pytest said: its exit code, and the errors of the tests that failed."""

    code: int
    output: str

    @property
    def errors(self) -> set[str]:
        kinds = re.findall(r"^E +(assert |Failed|[\w.]+(?:Error|Warning))", self.output, re.M)
        return {kind.rpartition(".")[2].replace("assert ", "AssertionError") for kind in kinds}


def faults(words: list[str]) -> list[Fault]:
    rows = [Fault(**row) for row in tomllib.loads(TABLE.read_text())["fault"]]
    return [row for row in rows if not words or any(word in row.name for word in words)]


@contextmanager
def copied() -> Iterator[Path]:
    """A copy of library and tests in which ``ppvae.models`` lies inside of ppvae, as installed."""
    skip = shutil.ignore_patterns("__pycache__", ".*")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        shutil.copytree(ROOT / "ppvae", copy / "ppvae", ignore=skip)
        shutil.copytree(ROOT / "tests", copy / "tests", ignore=skip)
        for name in MAPPED:
            shutil.copytree(ROOT / name, copy / "ppvae" / name, ignore=skip)
        shutil.copytree(ROOT / "benchmarks", copy / "benchmarks", ignore=skip)
        shutil.copy(ROOT / "setup.cfg", copy)
        (copy / "origin_of_ppvae.py").write_text(PLUGIN)
        yield copy


def patch(copy: Path, fault: Fault) -> None:
    """Put a fault into a copy.

    Raises:
        ValueError: the text to be replaced is not there exactly once, or Python is not left.
    """
    mapped = fault.file.startswith(tuple(f"{name}/" for name in MAPPED))
    path = copy / "ppvae" / fault.file if mapped else copy / fault.file
    text = path.read_text()
    if text.count(fault.old) != 1:
        raise ValueError(
            f"{fault.file} must hold {fault.old!r} once; got {text.count(fault.old)} times."
        )
    patched = text.replace(fault.old, fault.new)
    compile(patched, str(path), "exec")
    path.write_text(patched)


def run(copy: Path, tests: list[str]) -> Outcome:
    settings = {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0"]
    done = subprocess.run(
        [*command, "-p", "origin_of_ppvae", *tests],
        cwd=copy,
        env=os.environ | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return Outcome(done.returncode, done.stdout)


def verdict(fault: Fault) -> tuple[Fault, str]:
    """Whether the named test fails on the patched copy, and by which error."""
    # A patch that only misspells something would fail any test.
    misspelt = {"NameError", "SyntaxError", "ImportError", "ModuleNotFoundError"}
    with copied() as copy:
        try:
            patch(copy, fault)
        except (ValueError, SyntaxError) as error:
            return fault, f"NO PATCH: {error}"
        outcome = run(copy, [fault.test])
    if outcome.code == 0:
        return fault, "SURVIVED"
    if outcome.code != 1 or outcome.errors & misspelt:
        return fault, f"BROKEN: {outcome.output.strip().splitlines()[-1]}"
    return fault, f"killed ({', '.join(sorted(outcome.errors))})"


def main(words: list[str]) -> int:
    rows = faults(words)
    if not rows:
        print(f"words must be in the name of a fault of {TABLE.name}; got {' '.join(words)!r}.")
        return 2
    with copied() as copy:
        outcome = run(copy, sorted({row.test for row in rows}))
    if outcome.code != 0:
        print(outcome.output, "the tests must pass without a fault.", sep="\n")
        return 1
    columns = [[getattr(row, name) for row in rows] for name in ("name", "file", "test")]
    widths = [max(map(len, column)) for column in columns]
    noticed = 0
    with ThreadPoolExecutor(PROCESSES) as pool:
        for row, result in pool.map(verdict, rows):
            noticed += result.startswith("killed")
            cells = zip((row.name, row.file, row.test), widths, strict=True)
            print(*(cell.ljust(width) for cell, width in cells), result, sep="  ", flush=True)
    print(f"{noticed} of {len(rows)} faults are noticed.")
    return 0 if noticed == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
