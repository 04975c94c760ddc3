"""Checkpoints come back bit for bit or are refused; files are written whole or not at all."""

import json
import os
import pickle

import pytest
import safetensors.torch
import torch
from torch import nn

from ppvae.atomic import write_whole
from ppvae.checkpoint import Checkpoint, optimizer_state, restore_optimizer

TENSORS = {
    "state/weight": torch.tensor([[1 / 3, -0.0], [float("nan"), float("inf")]]).double(),
    "state/bias": torch.tensor([1 / 3, 1e-42, -7.0]).float(),
    "state/count": torch.tensor(2**62 + 1),
    "state/bytes": torch.arange(5, dtype=torch.uint8),
    "state/mask": torch.tensor([True, False, True]),
    "state/scalar": torch.tensor(1 / 7, dtype=torch.float32),
    "state/nothing": torch.zeros(0, 3),
    "state/turned": torch.arange(6.0).reshape(2, 3).T,
    "best/weight": torch.ones(2),
}
VALUES = {"step": 3, "best": [0, -float("inf")], "seconds": 0.1, "optimizer": {"lr": 1e-3}}


def bits(tensor):
    return (
        tensor.dtype,
        tuple(tensor.shape),
        bytes(tensor.contiguous().reshape(-1).view(torch.uint8)),
    )


def all_bits(tensors):
    return {name: bits(tensor) for name, tensor in tensors.items()}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    Checkpoint(TENSORS, VALUES).save(path)
    return path


def test_a_checkpoint_comes_back_bit_for_bit(path):
    loaded = Checkpoint.load(path)
    assert all_bits(loaded.tensors) == all_bits(TENSORS)
    assert loaded.values == VALUES


def test_a_group_holds_its_tensors_by_the_rest_of_their_names(path):
    group = Checkpoint.load(path).group("best")
    assert all_bits(group) == all_bits({"weight": TENSORS["best/weight"]})


def test_a_truncated_checkpoint_is_refused_at_every_length(path):
    whole = path.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    for length in (0, 1, 7, 8, 9, header // 2, header, header + 1, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"checkpoint must be .*checkpoint\.safetensors"):
            Checkpoint.load(path)


def test_a_checkpoint_with_something_behind_its_end_is_refused(path):
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(ValueError, match="checkpoint must be whole"):
        Checkpoint.load(path)


@pytest.mark.parametrize("flip", [0x01, 0x20, 0xFF])
def test_a_flipped_byte_is_refused_wherever_it_is(path, flip):
    whole = path.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    places = {*range(8), *range(8, header, 29), *range(header, len(whole), 3), len(whole) - 1}
    for place in places:
        spoilt = bytearray(whole)
        spoilt[place] ^= flip
        path.write_bytes(spoilt)
        with pytest.raises(ValueError, match="checkpoint must be"):
            Checkpoint.load(path)


def test_a_changed_value_is_refused_by_the_checksum(path):
    whole = path.read_bytes()
    assert whole.count(b'\\"step\\": 3') == 1
    path.write_bytes(whole.replace(b'\\"step\\": 3', b'\\"step\\": 4'))
    with pytest.raises(ValueError, match="does not match its checksum"):
        Checkpoint.load(path)


def test_a_renamed_tensor_is_refused_by_the_checksum(path):
    path.write_bytes(path.read_bytes().replace(b"state/scalar", b"state/scalap"))
    with pytest.raises(ValueError, match="does not match its checksum"):
        Checkpoint.load(path)


def test_a_checkpoint_of_another_format_is_refused(path, monkeypatch):
    monkeypatch.setattr("ppvae.checkpoint._FORMAT", 3)
    with pytest.raises(ValueError, match=r"checkpoint must have format 3; .* has another"):
        Checkpoint.load(path)


def test_a_safetensors_file_of_another_program_is_refused(path):
    path.write_bytes(safetensors.torch.save(TENSORS | {"state/turned": torch.ones(2)}))
    with pytest.raises(ValueError, match="checkpoint must be whole"):
        Checkpoint.load(path)


@pytest.mark.parametrize("content", [b"", b"weights", b"\xff" * 64, json.dumps(VALUES).encode()])
def test_another_kind_of_file_is_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(ValueError, match="checkpoint must be whole"):
        Checkpoint.load(path)


class Runs:
    """Executes something when it is unpickled."""

    def __init__(self, witness):
        self.witness = witness

    def __reduce__(self):
        return os.mkdir, (self.witness,)


def test_nothing_in_a_checkpoint_is_executed(path, tmp_path):
    witness = tmp_path / "executed"
    pickled = pickle.dumps(Runs(str(witness)))
    torch.save(Runs(str(witness)), tmp_path / "torch.pt")
    for content in (pickled, (tmp_path / "torch.pt").read_bytes()):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="checkpoint must be whole"):
            Checkpoint.load(path)
    assert not witness.exists()


OPTIMIZERS = {
    "adam": lambda p: torch.optim.Adam(p, lr=0.01, betas=(0.8, 0.95)),
    "fused": lambda p: torch.optim.Adam(p, lr=0.01, fused=True),
    "amsgrad": lambda p: torch.optim.AdamW(p, lr=0.01, amsgrad=True),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, nesterov=True),
    "groups": lambda p: torch.optim.RMSprop([{"params": [p[0]], "lr": 0.1}, {"params": p[1:]}]),
}


def moved(make, steps, kept=None):
    """Parameters in float32 and float64 after some steps, the optimizer put back in between."""
    torch.manual_seed(1)
    leaves = [nn.Parameter(torch.randn(3)), nn.Parameter(torch.randn(2, 2).float())]
    optimizer = make(leaves)
    for step in range(steps):
        if kept is not None and step == 3:
            tensors, values = optimizer_state(optimizer)
            Checkpoint(tensors, values).save(kept)
            loaded = Checkpoint.load(kept)
            optimizer = make(leaves)
            restore_optimizer(optimizer, loaded.tensors, loaded.values)
        for leaf in leaves:
            leaf.grad = torch.sin(leaf.detach() + step)
        optimizer.step()
    return [leaf.detach() for leaf in leaves], optimizer.state_dict()["param_groups"]


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_an_optimizer_put_back_goes_on_as_if_nothing_had_been(make, tmp_path):
    leaves, _ = moved(make, 6)
    again, _ = moved(make, 6, kept=tmp_path / "kept")
    assert list(map(bits, again)) == list(map(bits, leaves))


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_an_optimizer_put_back_has_its_settings(make, tmp_path):
    groups, again = moved(make, 4)[1], moved(make, 4, kept=tmp_path / "kept")[1]
    assert json.loads(json.dumps(again)) == json.loads(json.dumps(groups))


def failing(*_args, **_kwargs):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, call):
    path = tmp_path / "kept"
    write_whole(path, b"old")
    monkeypatch.setattr(os, call, failing)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"new")
    assert [file.name for file in tmp_path.iterdir()] == ["kept"]
    assert path.read_bytes() == b"old"


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    def interrupted(*_args):
        raise KeyboardInterrupt

    path = tmp_path / "kept"
    write_whole(path, "old")
    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_whole(path, "new")
    assert [file.name for file in tmp_path.iterdir()] == ["kept"]
    assert path.read_text() == "old"


def test_a_file_is_synced_before_it_takes_the_place_of_the_old_one(tmp_path, monkeypatch):
    calls = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *args, n=name, r=real: (calls.append(n), r(*args))[1])
    write_whole(tmp_path / "kept", "old")
    assert calls[:2] == ["fsync", "replace"]


def test_a_folder_that_is_not_there_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "gone" / "kept", b"new")


def test_what_a_killed_write_left_behind_is_written_over_and_the_file_can_be_shared(tmp_path):
    (tmp_path / ".table.csv.part").write_text("half")
    write_whole(tmp_path / "table.csv", "whole")
    assert [p.name for p in tmp_path.iterdir()] == ["table.csv"]
    (tmp_path / "plain").touch()
    assert (tmp_path / "table.csv").stat().st_mode == (tmp_path / "plain").stat().st_mode
