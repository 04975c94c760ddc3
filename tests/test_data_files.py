"""Files of one's own arrays: nothing in them is executed, and damage is refused."""

import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from ppvae.data import load
from ppvae.data.files import read_arrays


class Payload:
    """Creates the file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def write(path):
    array = np.random.default_rng(0).random((100, 9))
    if path.suffix == ".pt":
        torch.save(torch.from_numpy(array), path)
    else:
        {".npy": np.save, ".npz": np.savez}[path.suffix](path, array)
    return path


@pytest.mark.parametrize("kind", ["npy", "npz", "npy that is a pickle", "pt", "pt legacy"])
def test_nothing_in_a_file_is_executed(tmp_path, kind):
    trap, path = tmp_path / "executed", tmp_path / f"own.{kind[:3].strip()}"
    objects = np.array([Payload(trap)], dtype=object)
    if kind == "npy":
        np.save(path, objects, allow_pickle=True)
    elif kind == "npz":
        np.savez(path, x=objects)
    elif kind == "npy that is a pickle":
        path.write_bytes(pickle.dumps(Payload(trap)))
    else:
        torch.save(Payload(trap), path, _use_new_zipfile_serialization=kind == "pt")
    with pytest.raises(ValueError, match=r"of plain arrays; got pickled objects or another format"):
        load(path)
    assert not trap.exists()


@pytest.mark.parametrize("keep", [0, 3, 100, 0.5, 0.95])
@pytest.mark.parametrize("suffix", [".npy", ".npz", ".pt"])
def test_truncated_file_is_refused(tmp_path, suffix, keep):
    path = write(tmp_path / f"own{suffix}")
    content = path.read_bytes()
    path.write_bytes(content[: keep if isinstance(keep, int) else int(keep * len(content))])
    with pytest.raises(ValueError, match=rf"own{suffix} must be a complete {suffix} file of plain"):
        load(path)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".pt"])
def test_damaged_bytes_are_refused_in_one_way(tmp_path, suffix):
    """Changed in two places of their first part, files are read or refused as they stand."""
    path = write(tmp_path / f"own{suffix}")
    content, random = path.read_bytes(), np.random.default_rng(0)
    refused = 0
    for _ in range(200):
        damaged = bytearray(content)
        for place in random.integers(0, 150, 2):
            damaged[place] = random.integers(0, 256)
        path.write_bytes(damaged)
        try:
            read_arrays(path)
        except (ValueError, TypeError) as error:
            rule = rf"must be (a complete {suffix} file of plain arrays|an array of real numbers);"
            assert re.search(rule, str(error))
            refused += 1
    assert refused > 100


@pytest.mark.parametrize("content", [[torch.ones(3)], {"x": {"y": torch.ones(3)}}, {"x": "text"}])
def test_a_pt_file_of_other_things_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "own.pt")
    with pytest.raises(TypeError, match=r"x in .* must be an array of real numbers; got"):
        load(tmp_path / "own.pt")


@pytest.mark.parametrize("name", ["absent.npy", "folder/absent"])
def test_missing_file_is_refused(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=f"data file or folder must exist; got .*{name}"):
        load(tmp_path / name)


def test_another_format_is_refused(tmp_path):
    (tmp_path / "own.csv").touch()
    with pytest.raises(ValueError, match=r"data file must end in .npy, .npz, .pt; got .*own.csv"):
        load(tmp_path / "own.csv")
