"""A folder of images: sizes, channels, crop, and files that cannot be read."""

import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from ppvae.data import Source, load


def save(path, pixels, mode=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.asarray(pixels, dtype=np.uint8))
    (image.convert(mode) if mode else image).save(path)


@pytest.fixture
def folder(tmp_path):
    """Ten grey images 6x4, the n-th of the value 20 n, the last two in a subfolder."""
    for n in range(10):
        name = f"{n}.png" if n < 8 else f"more/{n}.png"
        save(tmp_path / "images" / name, np.full((6, 4), 20 * n))
    return tmp_path / "images"


def all_rows(data):
    return torch.cat([fields["x"] for fields in data.splits.values()])


def test_each_image_is_one_row_of_values_over_255(folder):
    data = load(folder)
    assert data.image_shape == (1, 6, 4) and data.num_rows == 10
    rows = sorted(all_rows(data).tolist())
    expected = (torch.arange(10)[:, None].float() * 20 / 255).expand(10, 24)
    torch.testing.assert_close(torch.tensor(rows).float(), expected)


def test_colour_images_have_their_channels_first(tmp_path):
    pixels = np.zeros((4, 5, 3))
    pixels[..., 2] = 255
    for n in range(3):
        save(tmp_path / f"{n}.png", pixels)
    data = load(tmp_path)
    assert data.image_shape == (3, 4, 5)
    assert data.train["x"].reshape(3, 4, 5).mean((1, 2)).tolist() == [0, 0, 1]


def test_crop_keeps_the_central_square_and_comes_before_resize(tmp_path):
    pixels = np.zeros((4, 8))
    pixels[:, 2:6] = 255
    for n in range(3):
        save(tmp_path / f"{n}.png", pixels)
    cropped = load(tmp_path, crop=True, image_size=2)
    assert cropped.image_shape == (1, 2, 2) and (all_rows(cropped) == 1).all()
    assert "cropped to the central square; resized to 2x2" in cropped.describe()
    assert (all_rows(load(tmp_path, image_size=2)) < 1).all()


def test_image_size_makes_images_of_unequal_size_one_size(folder):
    save(folder / "large.png", np.full((9, 9), 100))
    with pytest.raises(ValueError, match="image_size must be stated where images disagree; got "):
        load(folder)
    data = load(folder, image_size=5)
    assert data.image_shape == (1, 5, 5) and data.num_rows == 11


def test_channels_must_be_stated_where_images_disagree(folder):
    save(folder / "colour.png", np.full((6, 4, 3), 100))
    rule = r"channels must be stated where images disagree; got 1 in \S+ and 3 in \S+colour.png"
    with pytest.raises(ValueError, match=rule):
        load(folder)
    for channels in (1, 3):
        data = load(folder, channels=channels)
        assert data.image_shape == (channels, 6, 4) and data.num_rows == 11


def test_corrupt_files_are_left_out_and_listed(folder):
    whole = (folder / "0.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[:40])
    (folder / "empty.jpg").touch()
    (folder / "more" / "text.png").write_text("no image")
    listed = r"3 unreadable left out: cut\.png, empty\.jpg, more/text\.png"
    with pytest.warns(UserWarning, match=listed):
        data = load(folder)
    assert data.num_rows == 10
    assert "3 unreadable left out: cut.png, empty.jpg, more/text.png" in data.describe()


def test_hidden_and_other_files_are_no_images(folder):
    (folder / ".hidden.png").write_text("no image")
    (folder / "notes.txt").write_text("no image")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load(folder).num_rows == 10


@pytest.mark.parametrize("name", ["notes.txt", "broken.png"])
def test_a_folder_without_readable_images_is_refused(tmp_path, name):
    (tmp_path / name).write_text("no image")
    broken = int(name.endswith("png"))
    with pytest.raises(ValueError, match=f"none that can be read and {broken} that cannot"):
        load(tmp_path)


def test_transparency_is_dropped(tmp_path):
    for n in range(3):
        save(tmp_path / f"{n}.png", np.full((4, 4), 51), mode="RGBA")
    data = load(tmp_path)
    assert data.image_shape == (3, 4, 4)
    torch.testing.assert_close(all_rows(data).double(), torch.full((3, 48), 0.2), atol=1e-7, rtol=0)


def test_sixteen_bits_a_channel_are_refused(tmp_path):
    Image.fromarray(np.full((4, 4), 60000, dtype=np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(
        TypeError, match=r"must have 8 bits a channel; got mode I;16 in .*deep\.png"
    ):
        load(tmp_path)


def test_a_photograph_is_turned_upright(tmp_path):
    for n in range(3):
        exif = Image.Exif()
        exif[0x0112] = 6  # Turn by 90 degrees.
        Image.fromarray(np.zeros((4, 8), dtype=np.uint8)).save(tmp_path / f"{n}.jpg", exif=exif)
    assert load(tmp_path).image_shape == (1, 8, 4)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"image_size": 0}, "image_size must be at least 1; got 0"),
        ({"channels": 4}, r"channels must be 1 \(grey\) or 3 \(colour\); got 4"),
    ],
)
def test_options_out_of_range_are_refused(folder, option, message):
    with pytest.raises(ValueError, match=message):
        load(folder, **option)


def test_options_stand_in_the_source(folder):
    data = load(folder, image_size=3, crop=True, channels=3)
    assert data.source == Source(str(folder), "none", image_size=3, crop=True, channels=3)
    assert load(data.source).fingerprint == data.fingerprint


def test_two_images_are_too_few(tmp_path):
    for n in range(2):
        save(tmp_path / f"{n}.png", np.zeros((4, 4)))
    with pytest.raises(ValueError, match="must have at least 3 rows; got 2"):
        load(tmp_path)
