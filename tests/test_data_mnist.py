"""MNIST's files: read in place, checked, and downloaded only where missing."""

import gzip
import os
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest
import torch

from ppvae.data import load
from ppvae.data.binarized_mnist import read_amat
from ppvae.data.idx import read_idx

IMAGES = "train-images-idx3-ubyte"
STEMS = [f"{p}-{k}-ubyte" for p in ("train", "t10k") for k in ("images-idx3", "labels-idx1")]


@pytest.fixture(scope="module")
def real_folder():
    """The folder of real data files."""
    named = os.environ.get("PPVAE_DATA")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "data"
    if not (folder / "MNIST").is_dir() or not (folder / "binarized_mnist").is_dir():
        pytest.skip("needs MNIST and binarized_mnist in the folder named by PPVAE_DATA")
    return folder


@pytest.fixture(scope="module")
def mnist(real_folder):
    return load("mnist", data_dir=real_folder, binarize="none")


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def idx_bytes(array):
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, dtype=">u4").tobytes()
    return header + array.tobytes()


def listing(folder):
    stats = {path: path.stat() for path in sorted(folder.rglob("*"))}
    return {path: (stat.st_size, stat.st_mtime_ns, stat.st_mode) for path, stat in stats.items()}


def test_mnist_has_the_published_mean_and_label_counts(mnist):
    x = torch.cat([mnist.train["x"], mnist.valid["x"]])
    y = torch.cat([mnist.train["y"], mnist.valid["y"]])
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert round(x.double().mean().item(), 4) == 0.1307
    assert y.bincount().tolist() == counts


def test_mnist_has_the_documented_sizes(mnist):
    assert [len(fields["x"]) for fields in mnist.splits.values()] == [50000, 10000, 10000]
    assert mnist.image_shape == (1, 28, 28) and mnist.data_dim == 784


def test_validation_rows_are_the_last_of_the_training_file(mnist, real_folder):
    # The .gz alone is kept there; gzip and NumPy read it here without our reader.
    with gzip.open(real_folder / "MNIST" / "raw" / f"{IMAGES}.gz") as file:
        images = np.frombuffer(file.read()[16:], np.uint8).reshape(60000, 784)
    assert (mnist.train["x"][0] * 255).round().int().tolist() == images[0].tolist()
    assert (mnist.valid["x"] * 255).round().to(torch.uint8).equal(torch.tensor(images[50000:]))


def test_fixed_binarisation_has_the_published_bits(real_folder):
    data = load("binarized_mnist", data_dir=real_folder)
    ones = [int(fields["x"].double().sum()) for fields in data.splits.values()]
    assert ones == [5118041, 1028036, 1038896]
    assert data.is_binary and data.binarize == "fixed" and "y" not in data.train


def test_fixed_binarisation_is_a_draw_of_the_grey_images(real_folder, mnist):
    """Its training and validation rows are MNIST's training images in another order."""
    bits = load("binarized_mnist", data_dir=real_folder)
    ones = sum(bits.splits[split]["x"].double().sum(0) for split in ("train", "valid"))
    grey = torch.cat([mnist.train["x"], mnist.valid["x"]]).double()
    standard_deviation = (grey * (1 - grey)).sum(0).sqrt()
    assert ((ones - grey.sum(0)).abs() <= 5 * standard_deviation).all()


def test_files_that_are_there_are_read_without_network_and_stay_unchanged(
    real_folder, tmp_path, no_network
):
    for part in ("MNIST", "binarized_mnist"):
        shutil.copytree(real_folder / part, tmp_path / part)
    for path in [*tmp_path.rglob("*"), tmp_path]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = listing(tmp_path)
    load("mnist", data_dir=tmp_path)
    load("binarized_mnist", data_dir=tmp_path)
    assert listing(tmp_path) == before
    for path in [tmp_path, *tmp_path.rglob("*")]:
        path.chmod(0o755)


def test_plain_files_are_read_as_gz(real_folder, tmp_path, mnist, no_network):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for stem in STEMS:
        packed = (real_folder / "MNIST" / "raw" / f"{stem}.gz").read_bytes()
        (raw / stem).write_bytes(gzip.decompress(packed))
    assert load("mnist", data_dir=tmp_path, binarize="none").fingerprint == mnist.fingerprint


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_gives_the_array_that_was_written(tmp_path, suffix):
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    content = idx_bytes(array)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(gzip.compress(content) if suffix else content)
    assert np.array_equal(read_idx(path, (2, 3, 4)), array)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda plain: plain[:-1], "must be an idx file of 2 x 3 x 4 bytes; got 23 after"),
        (lambda plain: plain + b"0", "2 x 3 x 4 bytes; got more after"),
        (lambda plain: b"\0\0\x0d" + plain[3:], "got the header 00000d03"),
        (lambda plain: idx_bytes(np.zeros((2, 3, 5), np.uint8)), "got the header 000008"),
        (lambda plain: b"", "got the header of an empty file"),
    ],
    ids=["short", "long", "floats", "other shape", "empty"],
)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_damaged_idx_is_refused(tmp_path, damage, message, suffix):
    content = damage(idx_bytes(np.arange(24, dtype=np.uint8).reshape(2, 3, 4)))
    path = tmp_path / f"a{suffix}"
    path.write_bytes(gzip.compress(content) if suffix else content)
    with pytest.raises(ValueError, match=message):
        read_idx(path, (2, 3, 4))


@pytest.mark.parametrize(
    "damage",
    [
        lambda packed: packed[:-9],
        lambda packed: packed[:30],
        lambda packed: b"<html>",
        lambda packed: packed[:-8] + b"\0" * 8,
        lambda packed: packed[:10] + b"\xff" * 20 + packed[30:],
    ],
    ids=["trailer cut", "cut", "no gzip", "checksum", "bytes changed"],
)
def test_damaged_gz_is_refused(tmp_path, damage):
    path = tmp_path / "a.gz"
    path.write_bytes(damage(gzip.compress(idx_bytes(np.arange(200, dtype=np.uint8)))))
    with pytest.raises(ValueError, match=r"must be an idx file of 200 bytes; got damaged compres"):
        read_idx(path, (200,))


def test_failed_download_says_what_to_put_where_and_leaves_nothing(tmp_path, no_network):
    rule = r"FashionMNIST must lie in \S+FashionMNIST/raw where it cannot be downloaded; got "
    with pytest.raises(FileNotFoundError, match=rule + rf"\w+, so put {IMAGES}, train-labels"):
        load("fashion_mnist", data_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_download_adds_the_missing_files_alone(tmp_path, monkeypatch):
    """A stand-in for torchvision's class writes all four files; one is there and stays."""
    shapes = dict(zip(STEMS, [(60000, 28, 28), (60000,), (10000, 28, 28), (10000,)], strict=True))

    def download(root, download):
        raw = Path(root, "MNIST", "raw")
        raw.mkdir(parents=True)
        for stem, shape in shapes.items():
            content = gzip.compress(idx_bytes(np.zeros(shape, np.uint8)), compresslevel=1)
            (raw / f"{stem}.gz").write_bytes(content)

    monkeypatch.setattr("torchvision.datasets.MNIST", download)
    own = tmp_path / "MNIST" / "raw" / "t10k-labels-idx1-ubyte"
    own.parent.mkdir(parents=True)
    own.write_bytes(idx_bytes(np.full(10000, 7, np.uint8)))
    data = load("mnist", data_dir=tmp_path, binarize="none")
    assert data.test["y"].unique().tolist() == [7] and data.train["y"].unique().tolist() == [0]
    added = [f"{stem}.gz" for stem in STEMS if stem != own.name]
    assert sorted(path.name for path in own.parent.iterdir()) == sorted([*added, own.name])
    assert [path.name for path in tmp_path.iterdir()] == ["MNIST"]


def test_missing_binarisation_says_what_to_put_where(tmp_path):
    rule = r"binarized_mnist must lie in \S+, as binarized_mnist_packed.npz or as .*train\.amat"
    with pytest.raises(FileNotFoundError, match=rule):
        load("binarized_mnist", data_dir=tmp_path)


def test_another_binarisation_is_refused(tmp_path):
    (tmp_path / "binarized_mnist").mkdir()
    arrays = {s: np.zeros((n, 98), np.uint8) for s, n in [("train", 50000), ("valid", 10000)]}
    path = tmp_path / "binarized_mnist" / "binarized_mnist_packed.npz"
    np.savez_compressed(path, **arrays)
    with pytest.raises(ValueError, match=r"must hold uint8 arrays train \(50000, 98\)"):
        load("binarized_mnist", data_dir=tmp_path)
    np.savez_compressed(path, **arrays, test=arrays["valid"])
    with pytest.raises(ValueError, match="fixed binarisation, with 5118041 ones; got 0"):
        load("binarized_mnist", data_dir=tmp_path)


def test_text_files_give_their_bits(tmp_path):
    bits = np.random.default_rng(0).integers(0, 2, (3, 784)).astype(np.uint8)
    np.savetxt(tmp_path / "a.amat", bits, fmt="%d")
    assert np.array_equal(read_amat(tmp_path / "a.amat", 3), bits)


@pytest.mark.parametrize("text", ["0 1 " * 10, "0 2 " * 392])
def test_damaged_text_file_is_refused(tmp_path, text):
    (tmp_path / "a.amat").write_text(text)
    with pytest.raises(ValueError, match="must be text of 1 x 784 zeros and ones"):
        read_amat(tmp_path / "a.amat", 1)
