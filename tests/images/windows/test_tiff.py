from __future__ import annotations

import shutil
import struct
import zlib
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from objectness.errors import InputError
from objectness.images import open_upright
from objectness.images.windows import tiff, tiff_segments
from objectness.images.windows.open_windows import open_windows
from objectness.images.windows.protocol import Rectangle, WindowReader

tifffile = pytest.importorskip("tifffile")
pytest.importorskip("imagecodecs")

HEIGHT, WIDTH = 150, 203
RANDOM = np.random.default_rng(0)
SMOOTH = np.linspace(0, 1, HEIGHT)[:, None] * np.linspace(0, 1, WIDTH)[None]
COLOUR = np.stack([SMOOTH * 255, SMOOTH[::-1] * 255, RANDOM.integers(0, 256, SMOOTH.shape)], axis=2).astype(np.uint8)
GREY = COLOUR[:, :, 1]
ALPHA = np.dstack([COLOUR, (255 * SMOOTH[:, ::-1]).astype(np.uint8)])
PREMULTIPLIED = np.dstack([(COLOUR * (ALPHA[:, :, 3:] / 255)).astype(np.uint8), ALPHA[:, :, 3]])
SHORT = (SMOOTH * 65535).astype(np.uint16)
TWELVE = (SMOOTH * 4000).astype(np.uint16)
SHORT_COLOUR = (COLOUR.astype(np.uint16) * 257 + 3).astype(np.uint16)
TWELVE_COLOUR = (COLOUR.astype(np.uint16) * 16 + 3).astype(np.uint16)
BITS = (RANDOM.random(SMOOTH.shape) > 0.5).astype(np.uint8)
TABLE = RANDOM.integers(0, 65536, (3, 256)).astype(np.uint16)

TILES = {"tile": (64, 48)}
STRIPS = {"rowsperstrip": 7}
ORDINARY = {
    "rgb": (COLOUR, {"photometric": "rgb"}),
    "grey": (GREY, {"photometric": "minisblack"}),
    "white is zero": (GREY, {"photometric": "miniswhite"}),
    "rgba": (ALPHA, {"photometric": "rgb", "extrasamples": ["unassalpha"]}),
    "premultiplied": (PREMULTIPLIED, {"photometric": "rgb", "extrasamples": ["assocalpha"]}),
    "rgbx": (ALPHA, {"photometric": "rgb", "extrasamples": ["unspecified"]}),
    "grey and alpha": (ALPHA[:, :, 2:], {"photometric": "minisblack", "extrasamples": ["unassalpha"]}),
    "cmyk": (ALPHA, {"photometric": "separated"}),
    "palette": (GREY, {"photometric": "palette", "colormap": TABLE}),
    "short": (SHORT, {"photometric": "minisblack"}),
    "twelve": (TWELVE, {"photometric": "minisblack"}),
    "signed": ((SHORT // 2).astype(np.int16) - 5000, {"photometric": "minisblack"}),
    "float": (SMOOTH.astype(np.float32), {"photometric": "minisblack"}),
    "bright float": ((SMOOTH * 7).astype(np.float32), {"photometric": "minisblack"}),
    "below zero": ((SMOOTH * 700 - 9).astype(np.float32), {"photometric": "minisblack"}),
    "long": ((SMOOTH * 1e6).astype(np.int32), {"photometric": "minisblack"}),
    "short colour": (SHORT_COLOUR, {"photometric": "rgb"}),
    "twelve colour": (TWELVE_COLOUR, {"photometric": "rgb"}),
    "short rgba": (
        np.dstack([SHORT_COLOUR, SHORT]),
        {"photometric": "rgb", "extrasamples": ["unassalpha"]},
    ),
    "twelve rgba": (
        np.dstack([TWELVE_COLOUR, SHORT]),
        {"photometric": "rgb", "extrasamples": ["unassalpha"]},
    ),
    "twelve rgbx": (
        np.dstack([TWELVE_COLOUR, SHORT]),
        {"photometric": "rgb", "extrasamples": ["unspecified"]},
    ),
    "short premultiplied": (
        np.dstack([(SHORT_COLOUR * (SHORT[:, :, None] / 65535)).astype(np.uint16), SHORT]),
        {"photometric": "rgb", "extrasamples": ["assocalpha"]},
    ),
    "short cmyk": (np.dstack([SHORT_COLOUR, SHORT]), {"photometric": "separated"}),
}
PACKING = {
    "raw": {},
    "deflate": {"compression": "zlib"},
    "deflate, predicted": {"compression": "zlib", "predictor": True},
    "lzw": {"compression": "lzw"},
    "lzw, predicted": {"compression": "lzw", "predictor": True},
    "packbits": {"compression": "packbits"},
    "zstd": {"compression": "zstd"},
}


def parts(size_hw: tuple[int, int], side: int = 60, overlap: int = 9) -> list[Rectangle]:
    """Windows from top to bottom with an overlap, and some across."""
    height, width = size_hw
    found = []
    for y in range(0, height, side):
        for x in range(0, width, side):
            top, left = max(0, y - overlap), max(0, x - overlap)
            bottom, right = min(height, y + side + overlap), min(width, x + side + overlap)
            found.append(Rectangle(top, left, bottom - top, right - left))
    return [
        *found,
        Rectangle(height - 1, width - 1, 1, 1),
        Rectangle(0, 0, height, width),
        Rectangle(height // 3, 0, 2, width),
    ]


def in_parts(source: Any) -> WindowReader:
    """The image opened by the reader of TIFF, however small it is."""
    reader = open_windows(source, whole_limit=0)
    assert type(reader).__name__ in ("TiffReader", "SpooledReader")
    return reader


def assert_windows_are(source: Any, whole: np.ndarray, most: int = 0) -> None:
    with closing(in_parts(source)) as reader:
        assert reader.size_hw == whole.shape[:2]
        for part in parts(reader.size_hw):
            window = reader.window(part)
            assert window.missing == ()
            expected = whole[part.y : part.y + part.height, part.x : part.x + part.width]
            assert np.abs(window.pixels.astype(int) - expected).max() <= most


@pytest.mark.parametrize("layout", [TILES, STRIPS], ids=["tiles", "strips"])
@pytest.mark.parametrize("packing", PACKING)
@pytest.mark.parametrize("content", ORDINARY)
def test_windows_equal_the_whole_image_of_pillow(tmp_path: Path, content: str, packing: str, layout: Any) -> None:
    pixels, options = ORDINARY[content]
    options = {**options, **PACKING[packing], **layout}
    if options.get("predictor") and options["photometric"] == "palette":
        options["predictor"] = False
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels, **options)
    assert_windows_are(path, open_upright(path))


@pytest.mark.parametrize("content", ORDINARY)
@pytest.mark.parametrize("turned", [1, 8])
def test_large_tiles_are_kept_as_they_are_stored(
    tmp_path: Path, content: str, turned: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiff, "_MOST_RGB_PIXELS", 100)
    pixels, options = ORDINARY[content]
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels, **options, **TILES, extratags=[(274, "H", 1, turned, True)])
    assert_windows_are(path, open_upright(path))


@pytest.mark.parametrize("content", ["rgb", "grey", "rgba", "cmyk", "short", "twelve", "float", "short colour"])
@pytest.mark.parametrize("packing", ["raw", "deflate, predicted", "lzw"])
@pytest.mark.parametrize("layout", [TILES, STRIPS], ids=["tiles", "strips"])
def test_big_endian_and_big_tiff(tmp_path: Path, content: str, packing: str, layout: Any) -> None:
    pixels, options = ORDINARY[content]
    tifffile.imwrite(tmp_path / "a.tif", pixels, **options)
    whole = open_upright(tmp_path / "a.tif")  # of the big ones Pillow cannot read all
    for file in ({"byteorder": ">"}, {"bigtiff": True}, {"bigtiff": True, "byteorder": ">"}):
        tifffile.imwrite(tmp_path / "a.tif", pixels, **options, **PACKING[packing], **layout, **file)
        assert_windows_are(tmp_path / "a.tif", whole)


@pytest.mark.parametrize("content", ["rgb", "rgba", "rgbx", "cmyk", "short colour", "twelve colour"])
@pytest.mark.parametrize("packing", ["raw", "deflate, predicted", "lzw"])
@pytest.mark.parametrize("layout", [TILES, STRIPS], ids=["tiles", "strips"])
def test_separate_planes(tmp_path: Path, content: str, packing: str, layout: Any) -> None:
    pixels, options = ORDINARY[content]
    contiguous, planar = tmp_path / "contiguous.tif", tmp_path / "planar.tif"
    tifffile.imwrite(contiguous, pixels, **options)
    planes = np.ascontiguousarray(np.moveaxis(pixels, 2, 0))
    tifffile.imwrite(planar, planes, planarconfig="separate", **options, **PACKING[packing], **layout)
    assert_windows_are(planar, open_upright(contiguous))  # Pillow cannot read all of them


@pytest.mark.parametrize("turned", range(1, 9))
@pytest.mark.parametrize("layout", [TILES, STRIPS, {"rowsperstrip": 1}], ids=["tiles", "strips", "rows"])
@pytest.mark.parametrize("room", [0, 1 << 40])
def test_every_orientation(
    tmp_path: Path, turned: int, layout: Any, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=room))
    for name, content in (("rgb", COLOUR), ("twelve", TWELVE)):
        path = tmp_path / f"{name}.tif"
        tag = [(274, "H", 1, turned, True)]
        tifffile.imwrite(
            path, content, photometric="rgb" if content.ndim == 3 else "minisblack", extratags=tag, **layout
        )
        assert_windows_are(path, open_upright(path))
        with closing(in_parts(path)) as reader:
            is_spooled = "tile" not in layout and turned in (5, 6, 7, 8) and room > 0
            assert type(reader).__name__ == ("SpooledReader" if is_spooled else "TiffReader")


@pytest.mark.parametrize("layout", [{"tile": (64, 64)}, {"rowsperstrip": 16}], ids=["tiles", "strips"])
@pytest.mark.parametrize("subsampling", [(1, 1), (2, 1), (2, 2)])
def test_jpeg_of_tifffile(tmp_path: Path, layout: Any, subsampling: tuple[int, int]) -> None:
    path = tmp_path / "a.tif"
    options = {"photometric": "ycbcr", "compression": "jpeg", "compressionargs": {"level": 90}}
    tifffile.imwrite(path, COLOUR, subsampling=subsampling, **options, **layout)
    assert_windows_are(path, open_upright(path))


@pytest.mark.parametrize("quality", [50, 90])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK", "YCbCr"])
def test_jpeg_of_libtiff_with_tables(tmp_path: Path, quality: int, mode: str) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(COLOUR).convert(mode).save(path, compression="jpeg", quality=quality)
    with tifffile.TiffFile(path) as file:
        assert file.pages[0].jpegtables
    assert_windows_are(path, open_upright(path))


@pytest.mark.parametrize("packing", ["group3", "group4", "tiff_ccitt", "packbits", "tiff_deflate", "tiff_lzw", None])
@pytest.mark.parametrize("photometric", [0, 1])
def test_one_bit(tmp_path: Path, packing: str | None, photometric: int) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(BITS * 255).convert("1").save(path, compression=packing, tiffinfo={262: photometric})
    assert_windows_are(path, open_upright(path))


def test_lzma_jpeg_2000_and_webp(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, COLOUR, photometric="rgb", compression="lzma", tile=(64, 64))
    assert_windows_are(path, open_upright(path))
    tifffile.imwrite(path, COLOUR, photometric="rgb", compression="jpeg2000", tile=(64, 64))
    assert_windows_are(path, COLOUR)
    tifffile.imwrite(path, SHORT, photometric="minisblack", compression="jpeg2000", tile=(64, 64))
    with closing(in_parts(path)) as reader:
        assert int(reader.window(Rectangle(0, 0, HEIGHT, WIDTH)).pixels.max()) == 255
    options = {"compression": "webp", "compressionargs": {"lossless": True}}
    tifffile.imwrite(path, COLOUR, photometric="rgb", tile=(64, 64), **options)
    assert_windows_are(path, COLOUR)


@pytest.mark.parametrize("bits", [2, 4])
@pytest.mark.parametrize("photometric", [0, 1, 3])
@pytest.mark.parametrize("packing", [1, 8])
def test_few_bits(tmp_path: Path, bits: int, photometric: int, packing: int) -> None:
    """Written by hand: no library writes them."""
    values = np.ascontiguousarray(GREY[:, :201] >> (8 - bits))
    each = 8 // bits
    padded = np.pad(values, ((0, 0), (0, -values.shape[1] % each))).reshape(HEIGHT, -1, each)
    packed = np.zeros(padded.shape[:2], np.uint8)
    for at in range(each):
        packed |= padded[:, :, at] << (8 - bits * (at + 1))
    data = packed.tobytes() if packing == 1 else zlib.compress(packed.tobytes())
    entries = [(256, 201), (257, HEIGHT), (258, bits), (259, packing), (262, photometric)]
    entries += [(273, 8), (277, 1), (278, HEIGHT), (279, len(data))]
    table = RANDOM.integers(0, 65536, 3 * 2**bits).astype("<u2").tobytes()
    entries += [(320, 8 + len(data))] if photometric == 3 else []
    at = 8 + len(data) + len(table)
    content = b"II*\0" + struct.pack("<I", at) + data + table + struct.pack("<H", len(entries))
    for tag, value in entries:
        content += struct.pack("<HHII", tag, 3 if tag == 320 else 4, 3 * 2**bits if tag == 320 else 1, value)
    path = tmp_path / "a.tif"
    path.write_bytes(content + bytes(4))
    assert_windows_are(path, open_upright(path))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_bands_without_colours(tmp_path: Path, dtype: Any) -> None:
    path = tmp_path / "a.tif"
    bands = np.dstack([COLOUR, GREY, GREY]).astype(dtype)
    tifffile.imwrite(path, bands, photometric="minisblack", planarconfig="contig", tile=(64, 48))
    assert_windows_are(path, COLOUR)
    with closing(in_parts(path)) as reader:
        assert reader.remarks == (f"{path} has 5 bands; the first three are read as red, green and blue.",)


def test_the_first_page_counts_and_the_full_level_of_a_pyramid(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as file:
        file.write(COLOUR, subifds=1, tile=(64, 64), photometric="rgb")
        file.write(COLOUR[::2, ::2], subfiletype=1, tile=(64, 64), photometric="rgb")
    assert_windows_are(path, COLOUR)
    with closing(in_parts(path)) as reader:
        assert reader.remarks == ()
    tifffile.imwrite(path, np.stack([GREY, GREY[::-1]]), metadata={"axes": "CYX"}, tile=(64, 64))
    assert_windows_are(path, np.repeat(GREY[:, :, None], 3, axis=2))
    with closing(in_parts(path)) as reader:
        assert reader.remarks == (f"{path}: the first of its 2 pages is read.",)


def test_bytes_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, COLOUR, photometric="rgb", tile=(64, 64), compression="zlib")
    assert_windows_are(path.read_bytes(), COLOUR)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"compression": "lerc"}, "with compression 34887, which is not read in parts"),
        ({"photometric": "cielab"}, "colours cannot be read in parts"),
        ({"photometric": "rgb", "volumetric": True, "tile": (16, 64, 64)}, "is a TIFF of a volume"),
    ],
)
def test_what_is_not_read_in_parts_is_said(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    path = tmp_path / "a.tif"
    pixels = np.stack([COLOUR] * 16) if "volumetric" in options else COLOUR
    tifffile.imwrite(path, pixels, **{"photometric": "rgb", "tile": (64, 64), **options})
    with pytest.raises(InputError, match=words):
        open_windows(path, whole_limit=0)


def test_a_strip_that_is_too_large_to_decode_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiff_segments, "_MOST_DECODED_BYTES", WIDTH * HEIGHT * 3 - 1)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, COLOUR, photometric="rgb", rowsperstrip=HEIGHT, compression="lzw")
    with pytest.raises(InputError, match=f"strips or tiles of {WIDTH} x {HEIGHT} pixels, too large to decode one"):
        open_windows(path, whole_limit=0)
