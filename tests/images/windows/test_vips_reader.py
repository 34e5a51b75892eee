from __future__ import annotations

import gc
import io
import logging
import struct
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from objectness.errors import InputError, NotInstalledError
from objectness.images import open_upright
from objectness.images.windows import open_windows as open_windows_module
from objectness.images.windows.header import read_header
from objectness.images.windows.open_windows import open_windows
from objectness.images.windows.protocol import Rectangle, WindowReader
from objectness.images.windows.spooled_reader import SpooledReader
from objectness.images.windows.vips_reader import VipsReader, open_vips

pyvips = pytest.importorskip("pyvips")


def _smooth(height: int, width: int, channels: int = 3) -> NDArray[np.uint8]:
    """An image of slow waves with a little noise, as JPEG likes it."""
    y, x = np.mgrid[:height, :width]
    waves = [127 + 100 * np.sin(y / (17 + 5 * band) + x / (23 - 3 * band)) for band in range(channels)]
    noise = np.random.default_rng(5).integers(0, 20, (height, width, channels))
    return (np.stack(waves, axis=2) + noise).astype(np.uint8)


PHOTO = _smooth(151, 203)


def _parts(size_hw: tuple[int, int], side: int, overlap: int) -> Iterator[Rectangle]:
    height, width = size_hw
    for y in range(0, height, side - overlap):
        for x in range(0, width, side - overlap):
            yield Rectangle(y, x, min(side, height - y), min(side, width - x))


def _open(path: Path) -> VipsReader | SpooledReader:
    return open_vips(read_header(path))


def _assert_equal_in_windows(reader: WindowReader, whole: NDArray[np.uint8]) -> None:
    assert reader.size_hw == whole.shape[:2]
    for y, x, height, width in _parts(reader.size_hw, 64, 13):
        window = reader.window(Rectangle(y, x, height, width))
        assert window.missing == ()
        assert window.reason == ""
        np.testing.assert_array_equal(window.pixels, whole[y : y + height, x : x + width])
    reader.close()


def _deep(values: NDArray[np.uint16], colour_type: int) -> bytes:
    """A PNG of 16 bits a channel."""
    height, width = values.shape[:2]
    rows = values.astype(">u2").reshape(height, -1)
    pixels = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    pieces = [(b"IHDR", header), (b"IDAT", zlib.compress(pixels)), (b"IEND", b"")]
    chunks = [struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in pieces]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_windows_are_the_upright_image(tmp_path: Path, suffix: str, orientation: int) -> None:
    path = tmp_path / f"photo{suffix}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(PHOTO).save(path, exif=exif)
    reader = _open(path)
    assert reader.name == str(path)
    assert reader.in_order == (orientation in (1, 2))
    _assert_equal_in_windows(reader, open_upright(path))


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_every_kind_of_png_is_as_pillow_reads_it(tmp_path: Path, mode: str, orientation: int) -> None:
    path = tmp_path / "image.png"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(_smooth(90, 70, 4)).convert(mode).save(path, exif=exif)
    _assert_equal_in_windows(_open(path), open_upright(path))


@pytest.mark.parametrize(("mode", "clear"), [("1", 0), ("L", 120), ("P", 3), ("P", bytes(range(200))), ("RGB", None)])
def test_a_colour_that_stands_for_clear_is_laid_on_white(tmp_path: Path, mode: str, clear: Any) -> None:
    image = Image.fromarray(PHOTO).convert(mode)
    path = tmp_path / "image.png"
    image.save(path, transparency=image.getpixel((5, 5)) if clear is None else clear)
    whole = open_upright(path)
    assert (whole == 255).all(axis=2).any()
    _assert_equal_in_windows(_open(path), whole)


@pytest.mark.parametrize("colour_type", [0, 2, 4, 6])
@pytest.mark.parametrize("brightest", [200, 1000, 4000, 16383, 16384, 65535])
def test_16_bits_are_scaled_by_the_brightest_value_of_the_whole_image(
    tmp_path: Path, colour_type: int, brightest: int
) -> None:
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour_type]
    values = np.random.default_rng(3).integers(0, brightest // 2, (140, 30, channels), dtype=np.uint16)
    values[-1, -1] = brightest  # the windows before it must know
    if channels in (2, 4):
        values[:, :, -1] = np.random.default_rng(4).integers(0, 65536, (140, 30))
    path = tmp_path / "deep.png"
    path.write_bytes(_deep(values, colour_type))
    _assert_equal_in_windows(_open(path), open_upright(path))


@pytest.mark.parametrize(("mode", "options"), [("CMYK", {}), ("L", {}), ("RGB", {"progressive": True})])
def test_jpegs_of_other_kinds(tmp_path: Path, mode: str, options: dict[str, bool]) -> None:
    path = tmp_path / "photo.jpg"
    Image.fromarray(PHOTO).convert(mode).save(path, **options)
    _assert_equal_in_windows(_open(path), open_upright(path))


def test_windows_in_any_order_are_equal(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    Image.fromarray(PHOTO).save(path)
    whole, reader = open_upright(path), _open(path)
    for y, height in ((100, 51), (0, 20), (10, 30), (35, 5), (0, 151), (150, 1)):
        np.testing.assert_array_equal(reader.window(Rectangle(y, 3, height, 200)).pixels, whole[y : y + height, 3:])


def test_a_band_is_held_and_not_the_image(tmp_path: Path) -> None:
    path = tmp_path / "tall.png"
    Image.fromarray(_smooth(3000, 20)).save(path)
    reader = _open(path)
    assert isinstance(reader, VipsReader)
    for part in _parts(reader.size_hw, 64, 16):
        reader.window(part)
    assert reader._band.shape == (64, 20, 3)


def test_a_turned_png_whose_exif_stands_behind_the_pixels(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    file = io.BytesIO()
    Image.fromarray(PHOTO).save(file, "PNG", exif=exif)
    content = file.getvalue()
    start = content.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(content[start : start + 4], "big")
    path = tmp_path / "photo.png"
    path.write_bytes(content[:start] + content[end:-12] + content[start:end] + content[-12:])
    whole = open_upright(path)
    assert whole.shape[:2] == (203, 151)
    _assert_equal_in_windows(_open(path), whole)


@pytest.mark.parametrize("orientation", [1, 2, 3, 6])
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_of_a_file_that_is_cut_short_the_rows_before_the_cut_are_served(
    tmp_path: Path, suffix: str, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    whole_path, path = tmp_path / f"whole{suffix}", tmp_path / f"cut{suffix}"
    Image.fromarray(_smooth(400, 300)).save(whole_path, exif=exif)
    content = whole_path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    whole, reader = open_upright(whole_path), _open(path)
    lost = np.zeros(whole.shape[:2], bool)
    for part in _parts(reader.size_hw, 128, 20):
        window = reader.window(part)
        here = np.zeros_like(lost)
        for y, x, height, width in window.missing:
            here[y : y + height, x : x + width] = True
        cut = here[part.y : part.y + part.height, part.x : part.x + part.width]
        expected = whole[part.y : part.y + part.height, part.x : part.x + part.width]
        np.testing.assert_array_equal(window.pixels[~cut], expected[~cut])
        assert (window.pixels[cut] == 128).all()
        assert bool(window.reason) == bool(window.missing)
        if window.missing:
            assert ("premature end" if suffix == ".jpg" else "read error") in window.reason
        lost |= here
    assert 0.4 < lost.mean() < 0.62


def test_damage_in_the_middle_of_a_jpeg_is_missing_from_where_it_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    Image.fromarray(_smooth(400, 300)).save(path)
    content = bytearray(path.read_bytes())
    whole = open_upright(path)
    content[len(content) // 2 : len(content) // 2 + 4] = b"\x12\xff\xc4\x12"  # garbage that cannot be pixels
    path.write_bytes(content)
    window = _open(path).window(Rectangle(0, 0, 400, 300))
    assert len(window.missing) == 1
    assert 150 < window.missing[0].y < 350
    np.testing.assert_array_equal(window.pixels[:150], whole[:150])


def test_bytes_that_do_no_harm_are_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    Image.fromarray(PHOTO).save(path)
    content = path.read_bytes()
    whole = open_upright(path)
    path.write_bytes(content[:-2] + b"\0\0\0" + content[-2:])  # before the end
    _assert_equal_in_windows(_open(path), whole)
    start = content.index(b"\xff\xdb")
    path.write_bytes(content[:start] + b"\0\0\0" + content[start:])  # before a table
    _assert_equal_in_windows(_open(path), whole)


def test_an_image_without_one_sound_row_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    Image.fromarray(PHOTO).save(path)
    path.write_bytes(path.read_bytes()[:640])
    with pytest.raises(InputError, match="damaged or cut short"):
        _open(path).window(Rectangle(0, 0, 20, 20))


def test_what_is_decoded_whole_is_said(tmp_path: Path) -> None:
    image = Image.fromarray(PHOTO)
    image.save(tmp_path / "baseline.jpg")
    image.save(tmp_path / "progressive.jpg", progressive=True)
    image.save(tmp_path / "a.webp")
    assert _open(tmp_path / "baseline.jpg").remarks == ()
    assert _open(tmp_path / "progressive.jpg").remarks == (
        f"{tmp_path / 'progressive.jpg'}: a progressive JPEG cannot be decoded in parts, and takes up to 0 MB more of "
        "memory than a baseline one.",
    )
    assert "a WebP cannot" in _open(tmp_path / "a.webp").remarks[0]


def test_an_interlaced_png(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    pyvips.Image.new_from_array(PHOTO).pngsave(str(path), interlace=True)
    reader = _open(path)
    assert "an interlaced PNG cannot" in reader.remarks[0]
    _assert_equal_in_windows(reader, open_upright(path))


def test_the_bytes_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    Image.fromarray(PHOTO).save(path)
    _assert_equal_in_windows(open_vips(read_header(path.read_bytes())), open_upright(path))


def test_large_files_are_opened_so_and_what_is_decoded_whole_up_to_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_windows_module, "_SMALL_PIXELS", 100)
    for name, options in (("a.jpg", {}), ("a.png", {}), ("b.jpg", {"progressive": True}), ("a.webp", {})):
        path = tmp_path / name
        Image.fromarray(PHOTO).save(path, **options)
        with closing(open_windows(path, whole_limit=PHOTO.size // 3)) as reader:
            assert isinstance(reader, VipsReader)
        if name in ("b.jpg", "a.webp"):
            with pytest.raises(InputError, match=r"is decoded whole, for which the limit is 1000;"):
                open_windows(path, whole_limit=1000)
        else:
            open_windows(path, whole_limit=1000).close()


def test_a_turned_image_without_room_for_it_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "photo.jpg"
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(PHOTO).save(path, exif=exif)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=1000))
    with pytest.raises(InputError, match=r"takes 0\.0 GB of room in .*TMPDIR"):
        _open(path)


def test_a_disk_that_fills_up_while_an_image_is_turned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "photo.jpg"
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(PHOTO).save(path, exif=exif)
    reader = _open(path)
    assert isinstance(reader, SpooledReader)
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda prefix: io.FileIO("/dev/full", "w+"))
    with pytest.raises(InputError, match="No space left"):
        reader.window(Rectangle(0, 0, 10, 10))


def test_no_temporary_file_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, room = tmp_path / "photo.jpg", tmp_path / "room"
    room.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(room))
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(PHOTO).save(path, exif=exif)
    reader = _open(path)
    reader.window(Rectangle(0, 0, 10, 10))
    assert list(room.iterdir()) == []
    reader.close()


def test_the_decoder_is_silent(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "photo.jpg"
    Image.fromarray(PHOTO).save(path)
    path.write_bytes(path.read_bytes()[:-3000])
    reader = _open(path)
    assert reader.window(Rectangle(0, 0, 151, 203)).missing
    reader.close()
    gc.collect()
    assert capfd.readouterr() == ("", "")
    assert any(isinstance(handler, logging.NullHandler) for handler in logging.getLogger("pyvips").handlers)


def test_without_pyvips_a_sentence_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "photo.jpg"
    Image.fromarray(PHOTO).save(path)
    monkeypatch.setitem(__import__("sys").modules, "pyvips", None)
    with pytest.raises(NotInstalledError, match=r'JPEG files in parts need pyvips: pip install "\.\[huge\]"'):
        _open(path)


def test_a_file_that_is_gone_when_it_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    Image.fromarray(PHOTO).save(path)
    reader = _open(path)
    reader.window(Rectangle(50, 0, 20, 20))
    path.unlink()
    reader.window(Rectangle(60, 0, 20, 20))
    with pytest.raises(InputError, match="check that it is still there"):
        reader.window(Rectangle(0, 0, 20, 20))
