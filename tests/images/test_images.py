"""Large JPEGs are shrunk while they are decoded; boxes must not notice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from objectness.errors import InputError
from objectness.images import fit_size_hw, open_fitted, open_upright, resize


def _photo(path: Path, size: tuple[int, int], mode: str = "RGB", **options: object) -> Path:
    """Soft waves with three hard shapes: something to be off by."""
    width, height = size
    x, y = np.meshgrid(np.linspace(0, 9, width), np.linspace(0, 7, height))
    waves = np.stack([128 + 100 * np.sin(x + shift) * np.cos(y) for shift in (0, 1, 2)], axis=2)
    image = Image.fromarray(waves.astype(np.uint8))
    draw = ImageDraw.Draw(image)
    draw.rectangle((width * 0.1, height * 0.2, width * 0.3, height * 0.5), fill="white")
    draw.ellipse((width * 0.5, height * 0.4, width * 0.97, height * 0.99), fill="black")
    image.convert(mode).save(path, quality=95, **options)
    return path


def _slow(path: Path, short: int, long: int) -> np.ndarray:
    image = open_upright(path)
    return resize(image, fit_size_hw((image.shape[0], image.shape[1]), short, long))


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("size", [(1203, 801), (801, 1203), (1600, 1200)])
def test_a_shrunk_jpeg_looks_like_a_whole_one(tmp_path: Path, size: tuple[int, int], mode: str) -> None:
    path = _photo(tmp_path / "large.jpg", size, mode)
    fitted = open_fitted(path, 96, 160)
    expected = _slow(path, 96, 160)
    assert fitted.size_hw == size[::-1]
    assert fitted.pixels.shape == expected.shape
    assert fitted.image is None
    difference = np.abs(fitted.pixels.astype(int) - expected)
    assert difference.mean() < 1.5
    assert np.quantile(difference, 0.99) < 20
    assert not np.array_equal(fitted.pixels, expected)  # else it was not shrunk at all


@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_is_turned_as_its_exif_says(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = _photo(tmp_path / "phone.jpg", (1203, 801), exif=exif)
    fitted = open_fitted(path, 96, 160)
    expected = _slow(path, 96, 160)
    assert fitted.size_hw == ((1203, 801) if orientation >= 5 else (801, 1203))
    assert fitted.pixels.shape == expected.shape
    assert np.abs(fitted.pixels.astype(int) - expected).mean() < 1.5


def test_keeping_the_photograph_does_not_change_what_the_network_sees(tmp_path: Path) -> None:
    path = _photo(tmp_path / "large.jpg", (1203, 801))
    kept = open_fitted(path, 96, 160, keep_image=True)
    np.testing.assert_array_equal(kept.pixels, open_fitted(path, 96, 160).pixels)
    assert kept.image is not None
    np.testing.assert_array_equal(kept.image, open_upright(path))


@pytest.mark.parametrize(("name", "size"), [("large.png", (1200, 800)), ("small.jpg", (300, 200))])
def test_what_cannot_be_shrunk_on_the_way_is_read_whole(tmp_path: Path, name: str, size: tuple[int, int]) -> None:
    path = _photo(tmp_path / name, size)
    np.testing.assert_array_equal(open_fitted(path, 96, 160).pixels, _slow(path, 96, 160))
    array = open_upright(path)
    assert open_fitted(array, 96, 160, keep_image=True).image is array


def test_large_files_that_cannot_be_used(tmp_path: Path) -> None:
    path = _photo(tmp_path / "large.jpg", (1200, 800))
    with pytest.raises(InputError, match=r"large\.jpg: has 1200 x 800 = 960000 pixels, more than the limit of 1000"):
        open_fitted(path, 96, 160, max_pixels=1000)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(InputError, match=r"large\.jpg: the image is damaged or cut short"):
        open_fitted(path, 96, 160)


def test_16_bit_colour_keeps_its_high_byte(tmp_path: Path) -> None:
    import struct
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    row = b"\0" + struct.pack(">6H", 0, 0x8000, 0xFFFF, 0x1234, 0xFE00, 0x0100)
    header = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND", b"")
    (tmp_path / "deep.png").write_bytes(png)
    assert open_upright(tmp_path / "deep.png").tolist() == [[[0, 0x80, 0xFF], [0x12, 0xFE, 0x01]]]
