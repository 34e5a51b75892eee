from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from objectness.errors import InputError, NotInstalledError
from objectness.images.windows import slide_file
from objectness.images.windows.header import read_header
from objectness.images.windows.open_windows import open_windows, remarks_of, size_of
from objectness.images.windows.openslide_reader import OpenSlideReader
from objectness.images.windows.protocol import Rectangle

openslide = pytest.importorskip("openslide")
tifffile = pytest.importorskip("tifffile")

PIXELS = np.random.default_rng(2).integers(0, 256, (300, 420, 3), dtype=np.uint8)
APERIO = "Aperio Image Library v11.2.1\r\n420x300 [0,0 420x300] (128x128) JPEG/RGB Q=70|AppMag = 20|MPP = 0.4990"


def _slide(path: Path, pixels: NDArray[np.uint8] = PIXELS, compression: str = "jpeg") -> Path:
    options = {"compressionargs": {"level": 95}} if compression == "jpeg" else {}
    tifffile.imwrite(
        path,
        pixels,
        tile=(128, 128),
        compression=compression,
        photometric="rgb",
        description=APERIO,
        metadata=None,
        **options,
    )
    return path


def _damage(path: Path, number: int) -> None:
    """Overwrite one tile."""
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0]
        at, length = page.dataoffsets[number], page.databytecounts[number]
    with path.open("r+b") as file:
        file.seek(at)
        file.write(bytes(length))


def _parts(side: int, step: int) -> Iterator[Rectangle]:
    for y in range(0, 300, step):
        for x in range(0, 420, step):
            yield Rectangle(y, x, min(side, 300 - y), min(side, 420 - x))


@pytest.mark.parametrize("compression", ["jpeg", "deflate"])
def test_windows_of_an_aperio_slide(tmp_path: Path, compression: str) -> None:
    path = _slide(tmp_path / "a.svs", compression=compression)
    whole = tifffile.imread(path)
    assert size_of(path) == (300, 420)
    with closing(open_windows(path)) as reader:
        assert isinstance(reader, OpenSlideReader)
        assert (reader.name, reader.size_hw, reader.in_order) == (str(path), (300, 420), False)
        assert remarks_of(reader) == ()
        for y, x, height, width in _parts(100, 77):
            window = reader.window(Rectangle(y, x, height, width))
            assert window.missing == ()
            np.testing.assert_array_equal(window.pixels, whole[y : y + height, x : x + width])


def test_a_tile_that_does_not_decode_is_missing_and_all_others_are_served(tmp_path: Path) -> None:
    path = _slide(tmp_path / "a.svs")
    whole = tifffile.imread(path)
    _damage(path, 5)  # the second of the second row of four: (128, 128) to (256, 256)
    lost = np.zeros((300, 420), bool)
    lost[128:256, 128:256] = True
    with closing(OpenSlideReader(read_header(path))) as reader:
        for y, x, height, width in _parts(100, 77):
            window = reader.window(Rectangle(y, x, height, width))
            here = np.zeros_like(lost)
            for top, left, rows, columns in window.missing:
                here[top : top + rows, left : left + columns] = True
            cut = lost[y : y + height, x : x + width]
            np.testing.assert_array_equal(here, lost if cut.any() else np.zeros_like(lost))
            assert ("JPEG" in window.reason) == bool(window.missing)
            assert (window.pixels[cut] == 128).all()
            np.testing.assert_array_equal(window.pixels[~cut], whole[y : y + height, x : x + width][~cut])


def test_what_was_not_scanned_is_white(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _slide(tmp_path / "a.svs")
    reader = OpenSlideReader(read_header(path))
    read_region = openslide.OpenSlide.read_region

    def clear(slide: object, *where: object) -> object:
        region = read_region(slide, *where)
        region.paste((0, 0, 0, 0), (0, 0, 20, region.height))
        return region

    monkeypatch.setattr(openslide.OpenSlide, "read_region", clear)
    pixels = reader.window(Rectangle(10, 10, 50, 60)).pixels
    assert (pixels[:, :20] == 255).all()
    np.testing.assert_array_equal(pixels[:, 20:], tifffile.imread(path)[10:60, 30:70])


def test_the_part_that_was_scanned_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _slide(tmp_path / "a.svs")
    own = openslide.OpenSlide(str(path)).properties
    bounds = {"openslide.bounds-x": "7", "openslide.bounds-y": "9", "openslide.bounds-width": "200"}
    more = {**own, **bounds, "openslide.bounds-height": "100"}
    monkeypatch.setattr(openslide.OpenSlide, "properties", more)
    reader = OpenSlideReader(read_header(path))
    assert reader.scanned_part == Rectangle(9, 7, 100, 200)
    expected = f"{path}: 200 x 100 pixels from (7, 9) on were scanned; the rest is white."
    assert remarks_of(reader) == (expected,)


def test_a_slide_that_is_too_large_or_damaged(tmp_path: Path) -> None:
    path = _slide(tmp_path / "a.svs")
    with pytest.raises(InputError, match="420 x 300 = 126000 pixels, more than the limit of 1000"):
        open_windows(path, max_pixels=1000)
    (tmp_path / "a.mrxs").write_bytes(b"no slide")
    with pytest.raises(InputError, match=r"a\.mrxs"):
        open_windows(tmp_path / "a.mrxs")
    with pytest.raises(InputError, match="is missing"):
        open_windows(tmp_path / "none.svs")


def test_a_mirax_slide_that_names_files_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mrxs").touch()
    (tmp_path / "a").mkdir()
    listed = "[HIERARCHICAL]\nINDEXFILE = Index.dat\n[DATAFILE]\nFILE_COUNT = 1\nFILE_0 = ../../secret.dat\n"
    (tmp_path / "a" / "Slidedat.ini").write_text(listed)
    (tmp_path / "a.mrxs").write_bytes(b"\xff\xd8")
    with pytest.raises(InputError, match=r"names the file '\.\./\.\./secret\.dat' of another folder"):
        slide_file.open_slide(str(tmp_path / "a.mrxs"))


def test_without_openslide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slide, mirax = _slide(tmp_path / "a.svs"), tmp_path / "a.mrxs"
    mirax.write_bytes(b"\xff\xd8")
    monkeypatch.setattr(slide_file, "find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "openslide", None)
    assert size_of(slide) == (300, 420)  # a TIFF to other readers
    with pytest.raises(NotInstalledError, match=r'\(\.mrxs\), which needs openslide: pip install "\.\[wsi\]"'):
        open_windows(mirax)
