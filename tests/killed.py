"""Kill a training at random moments, resume it, and compare with an undisturbed one, bit for bit.

    python tests/killed.py            # 20 kills and a full disk, about 6 minutes on 2 cores
    python tests/killed.py --kills 4

A third of the kills come at a random time, the others inside the writing of a file: before it is
synced, and before it is renamed. Steps are replayed and compiled in turns; a run of which "auto"
decides is long enough to be captured, and must end with the numbers of Python. The full disk is a
tmpfs, which takes root on Linux.
"""

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from safetensors.torch import load_file

EPOCHS = {"off": 100, "auto": 100, "replay": 40, "inductor": 40}
TURNS = ("auto", "replay", "inductor")
SMALL = ["--hidden", "50", "--patience", "30"]
# Run the command line, and die at the n-th call of a function that writes files.
DYING = """
import os, signal, sys
import ppvae.atomic, ppvae.keeper
from ppvae.cli import main
ppvae.keeper._BETWEEN_EPOCHS = 0.05
name, left = sys.argv[1], int(sys.argv[2])
real = getattr(os, name, None)
def dying(*args, **kwargs):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args, **kwargs)
if real is not None:
    setattr(os, name, dying)
sys.exit(main(sys.argv[3:]))
"""


def command(arguments: list[str], dies_in: str = "nothing", after: int = 0) -> list[str]:
    return [sys.executable, "-c", DYING, dies_in, str(after), *arguments]


def fit(mode: str, epochs: int, folder: Path) -> list[str]:
    """A training whose steps are computed in one of the ways."""
    return [
        *("fit", "vae", *SMALL, "--compile", mode),
        *("--epochs", str(epochs), "--out", str(folder)),
    ]


def run(arguments: list[str], **kwargs: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(arguments), capture_output=True, text=True, **kwargs)  # type: ignore


def finish(mode: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Go on with what a killed run left: from its settings, or from nothing."""
    begun = (folder / "settings.json").exists()
    return run(["fit", "--resume", str(folder)] if begun else fit(mode, EPOCHS[mode], folder))


def state(folder: Path) -> dict[str, torch.Tensor]:
    tensors = load_file(folder / "checkpoint.safetensors")
    return {name: tensor for name, tensor in tensors.items() if name != "history/seconds"}


def bits(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor's bytes, in which NaN equals NaN."""
    return tensor.reshape(-1).view(torch.uint8)


def differences(folder: Path, undisturbed: dict[str, torch.Tensor]) -> list[str]:
    found = state(folder)
    if found.keys() != undisturbed.keys():
        return sorted(found.keys() ^ undisturbed.keys())
    return [
        name
        for name, tensor in undisturbed.items()
        if not torch.equal(
            tensor.view(-1).view(torch.uint8), found[name].view(-1).view(torch.uint8)
        )
    ]


def kill_one(
    mode: str, folder: Path, number: int, seconds: float, dice: random.Random
) -> str | None:
    """Start a training and kill it; how, in words, or None if it ended before it was killed."""
    arguments = fit(mode, EPOCHS[mode], folder)
    if number % 3:
        name = "fsync" if number % 3 == 1 else "replace"
        after = dice.randrange(0, 12)
        done = subprocess.run(command(arguments, name, after), capture_output=True)
        how = f"in os.{name}, call {after + 1}"
        return how if done.returncode == -signal.SIGKILL else None
    moment = dice.uniform(0.3 * seconds, 0.9 * seconds)
    process = subprocess.Popen(
        command(arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    time.sleep(moment)
    process.kill()
    return f"after {moment:.1f} s" if process.wait() == -signal.SIGKILL else None


def fill_disk(home: Path, mode: str, undisturbed: dict[str, torch.Tensor]) -> str | None:
    """Train on a disk that is full, make room, resume; the fault, or None."""
    longer = ["--epochs", str(EPOCHS[mode])]
    disk = home / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)], check=True)
    try:
        folder = disk / "run"
        begun = run(fit(mode, 4, folder))
        if begun.returncode:
            return f"could not begin: {begun.stderr}"
        filler = disk / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(b"\0" * 4096):
                pass
        # Room for the settings, none for a checkpoint.
        os.truncate(filler, filler.stat().st_size - 16 * 1024)
        full = run(["fit", "--resume", str(folder), *longer])
        print(f"full disk: exit code {full.returncode}, {full.stderr.strip().splitlines()[-1]}")
        if full.returncode != 2 or "Traceback" in full.stderr:
            return f"exit code {full.returncode} on a full disk: {full.stderr}"
        filler.unlink()
        done = run(["fit", "--resume", str(folder), *longer])
        if done.returncode:
            return f"could not resume: {done.stderr}"
        odd = differences(folder, undisturbed)
        return f"differs in {odd}" if odd else None
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def train_whole(mode: str, folder: Path) -> float:
    """Train without a kill, and how many seconds it took.

    Raises:
        SystemExit: it could not be done.
    """
    start = time.monotonic()
    done = run(fit(mode, EPOCHS[mode], folder))
    seconds = time.monotonic() - start
    if done.returncode:
        raise SystemExit(done.stderr)
    print(f"{mode}, undisturbed: {seconds:.1f} s, {len(state(folder))} tensors", flush=True)
    return seconds


def verdict_on(odd: list[str]) -> str:
    return f"DIFFERS: {odd}" if odd else "bit-identical"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    dice = random.Random(chosen.seed)
    faults = 0
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        seconds = {mode: train_whole(mode, home / mode) for mode in EPOCHS}
        undisturbed = {mode: state(home / mode) for mode in EPOCHS}
        odd = differences(home / "auto", undisturbed["off"])
        faults += bool(odd)
        print(f"auto and off, undisturbed: {verdict_on(odd)}", flush=True)
        for number in range(chosen.kills):
            folder, mode = home / f"killed{number}", TURNS[number // 3 % 3]
            while (how := kill_one(mode, folder, number, seconds[mode], dice)) is None:
                shutil.rmtree(folder)
            done = finish(mode, folder)
            odd = differences(folder, undisturbed[mode]) if done.returncode == 0 else [done.stderr]
            left = [file.name for file in folder.glob(".*")]
            faults += bool(odd)
            print(
                f"{mode}, killed {how}: {verdict_on(odd)}{f', left {left}' if left else ''}",
                flush=True,
            )
        if sys.platform == "linux" and os.geteuid() == 0:
            fault = fill_disk(home, "inductor", undisturbed["inductor"])
            faults += fault is not None
            print(f"full disk, then room: {fault or 'bit-identical'}")
        else:
            print("full disk: not tried (it takes root on Linux)")
    print(f"{chosen.kills} kills, {faults} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
