from __future__ import annotations

import io
import struct
import zlib
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from objectness.errors import InputError
from objectness.images import open_upright
from objectness.images.sizes import read_size
from objectness.images.windows import open_windows as module
from objectness.images.windows.open_windows import READERS, open_windows, remarks_of, size_of
from objectness.images.windows.protocol import Rectangle

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def _exif(turned: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = turned
    return exif.tobytes()


@pytest.mark.parametrize("turned", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp", ".avif"])
def test_size_and_windows_of_small_files(tmp_path: Path, suffix: str, turned: int) -> None:
    path = tmp_path / f"a{suffix}"
    Image.fromarray(PIXELS).save(path, exif=_exif(turned))
    whole = open_upright(path)
    assert size_of(path) == size_of(path.read_bytes()) == whole.shape[:2]
    with closing(open_windows(path)) as reader:
        assert reader.size_hw == whole.shape[:2]
        assert reader.name == str(path)
        np.testing.assert_array_equal(reader.window(Rectangle(3, 2, 11, 7)).pixels, whole[3:14, 2:9])
        np.testing.assert_array_equal(reader.window(Rectangle(0, 0, *whole.shape[:2])).pixels, whole)


def test_every_kind_of_source() -> None:
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "PNG")
    content = file.getvalue()
    for source in (PIXELS, Image.fromarray(PIXELS), content, io.BytesIO(content)):
        with closing(open_windows(source)) as reader:
            assert reader.size_hw == (20, 30)
            np.testing.assert_array_equal(reader.window(Rectangle(1, 2, 3, 4)).pixels, PIXELS[1:4, 2:6])
            assert remarks_of(reader) == ()


def test_a_window_is_a_copy() -> None:
    reader = open_windows(PIXELS)
    reader.window(Rectangle(0, 0, 5, 5)).pixels[:] = 0
    np.testing.assert_array_equal(reader.window(Rectangle(0, 0, 20, 30)).pixels, PIXELS)


def test_the_size_of_a_png_whose_texts_stand_behind_pixels_that_cannot_be_decoded(tmp_path: Path) -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    path = tmp_path / "a.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 70_000, 50_000, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", b"nothing")
        + chunk(b"eXIf", _exif(6).removeprefix(b"Exif\0\0"))
        + chunk(b"IEND", b"")
    )
    assert size_of(path) == (70_000, 50_000)
    with pytest.raises(InputError, match="50000 x 70000 = 3500000000 pixels, more than the limit of 178000000"):
        open_windows(path)


def test_a_large_image_that_cannot_be_read_in_parts_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SMALL_PIXELS", 100)
    monkeypatch.setattr(module, "READERS", [reader for reader in READERS if not reader.extra])
    path = tmp_path / "a.jpg"
    Image.fromarray(PIXELS).save(path, progressive=True)
    reader = open_windows(path)
    assert remarks_of(reader) == (f"{path}: this progressive JPEG is decoded whole, in about 0 MB of memory.",)
    np.testing.assert_array_equal(reader.window(Rectangle(0, 0, 20, 30)).pixels, open_upright(path))
    with pytest.raises(InputError) as caught:
        open_windows(path, whole_limit=599)
    assert str(caught.value) == (
        f"{path}: has 30 x 20 = 600 pixels, and a progressive JPEG is decoded whole, for which the limit is 599; "
        "save it as a tiled TIFF, or raise whole_limit if the memory is there."
    )


def test_a_reader_that_is_not_installed_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = module.Reader(
        "absent", "", lambda *_: True, lambda *_: pytest.fail("not installed"), ("no_such_package",), "huge"
    )
    monkeypatch.setattr(module, "_SMALL_PIXELS", 100)
    monkeypatch.setattr(module, "READERS", [absent, *(reader for reader in READERS if not reader.extra)])
    path = tmp_path / "a.png"
    Image.fromarray(PIXELS).save(path)
    assert "to read it in parts: pip install" in remarks_of(open_windows(path))[0]
    with pytest.raises(InputError, match=r"too many to decode whole \(the limit is 599\); to read it in parts: pip"):
        open_windows(path, whole_limit=599)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"hello", "is not an image of a format that is read"),
        (b"II*\0\x08\0\0\0", "damaged or cut short"),
        (b"II*\0\xff\xff\xff\xff\0\0", "damaged or cut short"),
        (b"\x89PNG\r\n\x1a\n", "damaged or cut short"),
    ],
)
def test_what_is_no_image_is_refused_in_one_sentence(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(content)
    for function in (size_of, open_windows):
        with pytest.raises(InputError, match=words):
            function(path)


def test_other_sources_are_refused(tmp_path: Path) -> None:
    for source, words in (
        (tmp_path, "is a folder"),
        (tmp_path / "none.tif", "is missing"),
        (7, "but a int came"),
        (np.zeros((2, 2), np.float32), "expected uint8"),
        (np.zeros((0, 2, 3), np.uint8), "at least one pixel"),
        (np.zeros(3, np.uint8), "expected uint8"),
    ):
        for function in (size_of, open_windows):
            with pytest.raises(InputError, match=words):
                function(source)  # type: ignore[arg-type]


def test_sizes_are_those_of_the_headers(tmp_path: Path) -> None:
    for name, image in {
        "one.tif": Image.new("1", (1, 1)),
        "big.tif": Image.new("I;16", (3, 5)),
        "palette.gif": Image.new("P", (7, 2)),
    }.items():
        image.save(tmp_path / name, **({"big_tiff": True} if name == "big.tif" else {}))
        assert size_of(tmp_path / name) == read_size(tmp_path / name)
