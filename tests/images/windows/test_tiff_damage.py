"""TIFFs that are cut short, torn or lying: what is there is served, and nothing is believed."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from objectness.errors import InputError
from objectness.images.upright import as_stored
from objectness.images.windows import tiff_segments
from objectness.images.windows.open_windows import open_windows
from objectness.images.windows.protocol import Rectangle, Window

tifffile = pytest.importorskip("tifffile")
pytest.importorskip("imagecodecs")

HEIGHT, WIDTH = 150, 203
PIXELS = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
WHOLE = Rectangle(0, 0, HEIGHT, WIDTH)


def window_of(source: Any, part: Rectangle = WHOLE) -> Window:
    with closing(open_windows(source, whole_limit=0)) as reader:
        return reader.window(part)


def sentence_or_windows(source: Any, parts: Callable[[tuple[int, int]], list[Rectangle]], **options: Any) -> str:
    """The sentence with which a file is refused; empty if windows of it were read."""
    try:
        with closing(open_windows(source, whole_limit=0, **{"max_pixels": None, **options})) as reader:
            for part in parts(reader.size_hw):
                assert reader.window(part).pixels.shape == (part.height, part.width, 3)
    except InputError as error:
        return str(error)
    return ""


def places(path: Path) -> tuple[list[int], list[int]]:
    with tifffile.TiffFile(path) as file:
        return list(file.pages[0].dataoffsets), list(file.pages[0].databytecounts)


def write(path: Path, **options: Any) -> Path:
    tifffile.imwrite(path, PIXELS, photometric="rgb", **options)
    return path


def by_hand(path: Path, entries: list[tuple[int, int, int]], data: bytes) -> Path:
    """A TIFF of these entries (tag, count, value or place), each of the type long, behind the data."""
    table = b"".join(struct.pack("<HHII", tag, 4, count, value) for tag, count, value in sorted(entries))
    content = b"II*\0" + struct.pack("<I", 8 + len(data)) + data
    path.write_bytes(content + struct.pack("<H", len(entries)) + table + bytes(4))
    return path


def assert_all_but(window: Window, holes: list[Rectangle]) -> None:
    assert sorted(window.missing) == sorted(holes)
    expected = PIXELS.copy()
    for y, x, height, width in holes:
        expected[y : y + height, x : x + width] = 128
    np.testing.assert_array_equal(window.pixels, expected)
    assert bool(window.reason) is bool(holes)


@pytest.mark.parametrize("compression", ["zlib", "lzw", "zstd", "lzma", "jpeg2000", "webp"])
def test_a_tile_that_does_not_decode_is_missing_and_all_else_is_there(tmp_path: Path, compression: str) -> None:
    options: dict[str, Any] = {"compressionargs": {"lossless": True}} if compression == "webp" else {}
    path = write(tmp_path / "a.tif", tile=(64, 64), compression=compression, **options)
    offsets, counts = places(path)
    content = bytearray(path.read_bytes())
    content[offsets[5] : offsets[5] + counts[5]] = b"\xa5" * counts[5]
    path.write_bytes(content)
    assert_all_but(window_of(path), [Rectangle(64, 64, 64, 64)])


def test_a_torn_jpeg_tile(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PIXELS, photometric="ycbcr", subsampling=(1, 1), compression="jpeg", tile=(64, 64))
    sound = window_of(path).pixels
    offsets, counts = places(path)
    content = bytearray(path.read_bytes())
    content[offsets[5] : offsets[5] + counts[5]] = b"\xa5" * counts[5]
    path.write_bytes(content)
    window = window_of(path)
    assert window.missing == (Rectangle(64, 64, 64, 64),)
    sound[64:128, 64:128] = 128
    np.testing.assert_array_equal(window.pixels, sound)


@pytest.mark.parametrize("options", [{"rowsperstrip": 7}, {"rowsperstrip": 7, "compression": "zlib"}])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_file_cut_short(tmp_path: Path, options: dict[str, Any], share: float) -> None:
    path = write(tmp_path / "a.tif", **options)
    offsets, counts = places(path)
    end = int(len(path.read_bytes()) * share)
    path.write_bytes(path.read_bytes()[:end])
    lost = [at for at, (offset, count) in enumerate(zip(offsets, counts, strict=True)) if offset + count > end]
    assert lost
    window = window_of(path)
    assert_all_but(window, [Rectangle(7 * at, 0, min(7, HEIGHT - 7 * at), WIDTH) for at in lost])
    assert window.reason == "the file ends before it"


@pytest.mark.parametrize("turned", range(1, 9))
@pytest.mark.parametrize(
    ("layout", "y", "x"), [({"tile": (64, 64)}, 128, 192), ({"rowsperstrip": 7}, 147, 0)], ids=["tiles", "strips"]
)
def test_missing_parts_of_turned_images(tmp_path: Path, turned: int, layout: dict[str, Any], y: int, x: int) -> None:
    path = write(tmp_path / "a.tif", **layout, extratags=[(274, "H", 1, turned, True)])
    offsets, _ = places(path)
    content = path.read_bytes()
    path.write_bytes(content[: offsets[-1] + 7])
    with closing(open_windows(path, whole_limit=0)) as reader:
        height, width = reader.size_hw
        window = reader.window(Rectangle(0, 0, height, width))
    (hole,) = window.missing
    inside = np.zeros((height, width, 3), bool)
    inside[hole.y : hole.y + hole.height, hole.x : hole.x + hole.width] = True
    assert (window.pixels[inside] == 128).all()
    stored = as_stored(window.pixels, turned)
    expected = PIXELS.copy()
    expected[y:, x:] = 128
    np.testing.assert_array_equal(stored, expected)


def test_one_large_strip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiff_segments, "_PIECE_BYTES", WIDTH * 3 * 11)
    for options in ({}, {"compression": "zlib"}, {"compression": "zlib", "predictor": True}):
        path = write(tmp_path / "a.tif", rowsperstrip=HEIGHT, **options)
        with closing(open_windows(path, whole_limit=0)) as reader:
            assert reader.in_order is ("compression" in options)
            for y in (0, 40, 130, 20):  # the last goes back to the start
                np.testing.assert_array_equal(reader.window(Rectangle(y, 5, 20, 60)).pixels, PIXELS[y : y + 20, 5:65])
        assert_all_but(window_of(path), [])
        sixteen = PIXELS.astype(np.uint16) * 257
        for order in "<>":
            tifffile.imwrite(path, sixteen, photometric="rgb", rowsperstrip=HEIGHT, byteorder=order, **options)
            assert_all_but(window_of(path), [])
        planes = np.ascontiguousarray(np.moveaxis(PIXELS, 2, 0))
        tifffile.imwrite(path, planes, photometric="rgb", planarconfig="separate", rowsperstrip=HEIGHT, **options)
        assert_all_but(window_of(path), [])


def test_one_large_strip_cut_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiff_segments, "_PIECE_BYTES", WIDTH * 3 * 10)
    for options in ({}, {"compression": "zlib"}):
        path = write(tmp_path / "a.tif", rowsperstrip=HEIGHT, **options)
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.7)])
        window = window_of(path)
        first = min(box.y for box in window.missing)
        assert 80 <= first <= 110
        assert_all_but(window, [Rectangle(y, 0, 10, WIDTH) for y in range(first, HEIGHT, 10)])
    content = bytearray(write(tmp_path / "a.tif", rowsperstrip=HEIGHT, compression="zlib").read_bytes())
    content[40_000:40_100] = b"\xa5" * 100
    window = window_of(bytes(content))
    assert 0 < len(window.missing) <= 12
    assert window.missing[-1] == Rectangle(140, 0, 10, WIDTH)


def test_the_first_reason_is_given_in_words(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", tile=(64, 64))
    offsets, _ = places(path)
    content = path.read_bytes()
    path.write_bytes(content[: offsets[4]])
    assert window_of(path).reason == "the file ends before it"
    assert window_of(path, Rectangle(0, 0, 10, 10)).missing == ()


def test_a_file_that_holds_none_of_its_pixels(tmp_path: Path) -> None:
    huge = [(256, 1, 100_000), (257, 1, 100_000), (258, 1, 8), (259, 1, 1), (262, 1, 1), (277, 1, 1), (278, 1, 100_000)]
    cases = {
        "beyond the end": [(273, 1, 1 << 30), (279, 1, 1 << 31)],
        "no bytes": [(273, 1, 8), (279, 1, 0)],
        "at the start": [(273, 1, 0), (279, 1, 0)],
    }
    for more in cases.values():
        path = by_hand(tmp_path / "a.tif", huge + more, bytes(1000))
        with pytest.raises(InputError, match="holds none of the pixels that it promises"):
            open_windows(path, max_pixels=None, whole_limit=0)


@pytest.mark.parametrize("compression", [1, 5, 8, 50000, 32773, 7, 33003, 50001, 4])
def test_a_file_that_lies_about_its_size_takes_no_memory(tmp_path: Path, compression: int) -> None:
    parts = [Rectangle(0, 0, 64, 64), Rectangle(99_900, 99_900, 100, 100), Rectangle(0, 0, 2, 100_000)]
    for entries in (
        [(278, 1, 100_000), (273, 1, 8), (279, 1, 1000)],  # a single strip of 10 GB
        [(278, 1, 1), (273, 1, 8), (279, 1, 1000)],  # 100,000 strips, one of them there
        [(322, 1, 100_000), (323, 1, 100_000), (324, 1, 8), (325, 1, 1000)],  # a single tile
        [(322, 1, 16), (323, 1, 16), (324, 1, 8), (325, 1, 1000)],  # 39 million tiles
        [(322, 1, 256), (323, 1, 256), (324, 1, 8), (325, 1, 0xFFFFFFF0)],  # a tile of 4 GB
        [(278, 1, 64), (273, 1, 8), (279, 1, 0xFFFFFFF0)],
    ):
        huge = [(256, 1, 100_000), (257, 1, 100_000), (258, 1, 8), (259, 1, compression), (262, 1, 1), (277, 1, 1)]
        path = by_hand(tmp_path / "a.tif", huge + entries, bytes(1000))
        tracemalloc.start()
        sentence = sentence_or_windows(path, lambda _: parts)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 40_000_000
        assert sentence == "" or str(path) in sentence


def test_what_expands_without_end_is_missing(tmp_path: Path) -> None:
    bomb = zlib.compress(bytes(50_000_000))
    entries = [(256, 1, 64), (257, 1, 64), (258, 1, 8), (259, 1, 8), (262, 1, 1), (277, 1, 1)]
    path = by_hand(tmp_path / "a.tif", [*entries, (278, 1, 64), (273, 1, 8), (279, 1, len(bomb))], bomb)
    tracemalloc.start()
    window = window_of(path, Rectangle(0, 0, 64, 64))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert window.missing or not window.pixels.any()
    assert peak < 10_000_000


def test_a_jpeg_in_a_tile_that_says_it_is_huge(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PIXELS, photometric="ycbcr", subsampling=(1, 1), compression="jpeg", tile=(64, 64))
    content = bytearray(path.read_bytes())
    offsets, _ = places(path)
    frame = content.index(b"\xff\xc0", offsets[0])
    content[frame + 5 : frame + 9] = struct.pack(">HH", 65000, 65000)
    window = window_of(bytes(content))
    assert window.missing == (Rectangle(0, 0, 64, 64),)
    assert window.reason == "it says that it is 65000 x 65000 pixels"


def test_tiles_that_were_left_out_are_black(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", tile=(64, 64), compression="zlib")
    with tifffile.TiffFile(path) as file:
        tags = file.pages[0].tags
        at = [
            (tags[code].valueoffset, struct.calcsize(tags[code].dtype.name[0] if False else "I")) for code in (324, 325)
        ]
    content = bytearray(path.read_bytes())
    for place, size in at:
        content[place + 5 * size : place + 6 * size] = bytes(size)
    window = window_of(bytes(content))
    assert window.missing == ()
    assert not window.pixels[64:128, 64:128].any()
    np.testing.assert_array_equal(window.pixels[:64], PIXELS[:64])


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"tile": (64, 64), "compression": "zlib"},
        {"rowsperstrip": 7, "compression": "lzw"},
        {"tile": (64, 64), "compression": "jpeg"},
        {"tile": (64, 64), "compression": "jpeg2000"},
        {"tile": (64, 64), "compression": "zstd", "bigtiff": True},
        {"rowsperstrip": 150},
    ],
)
def test_random_damage_is_a_sentence_or_missing_parts(tmp_path: Path, options: dict[str, Any]) -> None:
    content = write(tmp_path / "a.tif", **options).read_bytes()
    random = np.random.default_rng(0)
    read = 0

    def corners(size_hw: tuple[int, int]) -> list[Rectangle]:
        height, width = size_hw
        return [Rectangle(0, 0, min(height, 500), min(width, 500)), Rectangle(height - 1, width - 1, 1, 1)]

    for _ in range(150):
        torn = bytearray(content)
        for _ in range(int(random.integers(1, 4))):
            at = int(random.integers(0, 600 if random.random() < 0.7 else len(torn)))
            torn[at : at + 2] = random.bytes(2)
        sentence = sentence_or_windows(bytes(torn), corners, max_pixels=10_000_000)
        assert "\n" not in sentence
        read += not sentence
    assert read > 20
