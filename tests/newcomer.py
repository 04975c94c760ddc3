"""Do what the README says, as somebody who has just found the project, and time it.

    python tests/newcomer.py                 # both commands and the README's own pair
    python tests/newcomer.py --only tests    # main-job, tests or own-pair

Each command runs in a clone of its own with an empty HOME and no data, exactly as it stands in the
README: the parts up to the installation with the network, the rest without it where the system can
take it away (Linux, ``unshare``). The README's own pair is cut out of it, counted, trained, resumed
and evaluated in new processes from other folders.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
MOST_LINES = 25


def block_after(mark: str, language: str) -> str:
    """The first code block of a language after a comment <!-- mark --> in the README."""
    found = re.search(rf"<!-- {mark} -->\s*```{language}\n(.*?)```", README, re.DOTALL)
    if found is None:
        raise SystemExit(f"README has no {language} block after <!-- {mark} -->")
    return found.group(1).strip()


def environment(home: Path) -> dict[str, str]:
    """An environment with an empty HOME, none of our settings and no virtual environment."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PPVAE", "PYTHON", "VIRTUAL"))}
    path = os.pathsep.join(p for p in kept["PATH"].split(os.pathsep) if "venv" not in p)
    return {**kept, "HOME": str(home), "PATH": path}


def offline() -> list[str]:
    """What to put before a command to take its network away; nothing if that cannot be done."""
    probe = ["unshare", "--map-root-user", "--net"]
    if (
        shutil.which("unshare")
        and subprocess.run([*probe, "true"], capture_output=True).returncode == 0
    ):
        return probe
    return []


def run(command: str, folder: Path, home: Path, before: list[str] | None = None) -> float:
    """Run a shell command in a folder; seconds. Its failure ends the script."""
    start = time.monotonic()
    shell = [*(before or []), "bash", "-euo", "pipefail", "-c", command]
    done = subprocess.run(shell, cwd=folder, env=environment(home))
    seconds = time.monotonic() - start
    print(f"--- {seconds:.0f} s: {command}", flush=True)
    if done.returncode:
        raise SystemExit(f"failed with exit code {done.returncode}: {command}")
    return seconds


def fresh_clone(home: Path) -> Path:
    clone = home / "clone"
    source = ["git", "clone", "--quiet", "--no-local", str(ROOT), str(clone)]
    subprocess.run(source, check=True)
    return clone


def walk(mark: str, limit: float) -> None:
    """Run one command of the README in a fresh clone, its seconds after installation limited."""
    parts = [part.strip() for part in block_after(mark, "bash").split("&&")]
    installed = 1 + max(i for i, part in enumerate(parts) if "pip install" in part)
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        clone = fresh_clone(home)
        run(" && ".join(parts[:installed]), clone, home)
        without = offline()
        seconds = run(" && ".join(parts[installed:]), clone, home, without)
        changed = subprocess.run(
            ["git", "status", "--porcelain"], cwd=clone, capture_output=True, text=True, check=True
        ).stdout
        if changed:
            raise SystemExit(f"{mark} left files that git does not ignore:\n{changed}")
    where = "without network" if without else "network not taken away"
    print(f"=== {mark}: {seconds:.0f} s after installation ({where}), limit {limit:.0f} s")
    if seconds > limit:
        raise SystemExit(f"{mark} took longer than {limit:.0f} s")


def own_pair(ppvae: str) -> None:
    """The README's own pair: counted, trained, resumed and evaluated from three folders."""
    text = block_after("own pair", "python")
    lines = len(text.splitlines())
    print(f"=== own pair: {lines} lines")
    if lines > MOST_LINES:
        raise SystemExit(f"the README's own pair must have at most {MOST_LINES} lines; got {lines}")
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        for folder in ("a", "b", "c"):
            (home / folder).mkdir()
        (home / "a" / "my_pair.py").write_text(text + "\n", encoding="utf-8")
        run(f"{ppvae} fit my_pair.py --epochs 3 --out {home}/run", home / "a", home)
        run(f"{ppvae} fit --resume {home}/run --epochs 6", home / "b", home)
        run(f"{ppvae} evaluate {home}/run --num-particles 100", home / "c", home)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=["main-job", "tests", "own-pair"])
    parser.add_argument(
        "--ppvae", default=f"{sys.executable} -m ppvae", help="for the own pair: the command"
    )
    parser.add_argument(
        "--limit", type=float, default=300.0, help="seconds that a command may take once installed"
    )
    chosen = parser.parse_args()
    if chosen.only in (None, "own-pair"):
        own_pair(chosen.ppvae)
    for mark in ("main-job", "tests"):
        if chosen.only in (None, mark):
            walk(mark, chosen.limit)


if __name__ == "__main__":
    main()
