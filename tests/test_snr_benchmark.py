"""Rainforth's toy, run as anybody would run it: every number beside its truth."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "snr.py"
ROW = re.compile(r"^(\S.*?)\s+(-?[\d.]+)\s+(-?[\d.]+)\s+(-?[\d.]+)$", re.M)


@pytest.mark.slow
def test_bounds_and_slopes_are_those_of_the_theory(tmp_path):
    done = subprocess.run(
        [sys.executable, SCRIPT, "--out", tmp_path], capture_output=True, text=True, check=True
    )
    rows = [(name, *map(float, numbers)) for name, *numbers in ROW.findall(done.stdout)]
    assert len(rows) == 9
    for name, value, error, truth in rows:
        # At finite K slopes are on their way, and at K = 64 so is the limit.
        assert abs(value - truth) < (0.1 if name.startswith("slope") else 5 * error), name
    known = {name: truth for name, _, _, truth in rows[:3]}
    assert known["log p - ELBO"] == 0.4565
    assert known["K (log p - L_K), K = 256"] == 0.4534
    assert {path.name for path in tmp_path.iterdir()} == {"snr.png", "snr.json"}
