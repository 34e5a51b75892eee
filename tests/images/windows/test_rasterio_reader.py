from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from objectness.errors import InputError, NotInstalledError
from objectness.images import open_upright
from objectness.images.windows import open_windows as open_windows_module
from objectness.images.windows import rasterio_reader
from objectness.images.windows.header import read_header
from objectness.images.windows.open_windows import open_windows, remarks_of
from objectness.images.windows.protocol import Rectangle, WindowReader
from objectness.images.windows.rasterio_file import open_raster
from objectness.images.windows.rasterio_reader import RasterioReader, open_rasterio

rasterio = pytest.importorskip("rasterio")
pytestmark = pytest.mark.filterwarnings("ignore:Dataset has no geotransform")

PIXELS = np.random.default_rng(2).integers(0, 256, (300, 420, 4), dtype=np.uint8)
TILES = {"tiled": True, "blockxsize": 128, "blockysize": 128}


def _write(path: Path, samples: NDArray[Any], mask: NDArray[np.uint8] | None = None, **profile: Any) -> Path:
    """Samples (H, W, bands) as a GeoTIFF or JPEG 2000 without loss."""
    height, width, count = samples.shape
    is_tiff = path.suffix == ".tif"
    usual: dict[str, Any] = TILES if is_tiff else {"QUALITY": "100", "REVERSIBLE": "YES", "YCBCR420": "NO"}
    profile = {"driver": "GTiff" if is_tiff else "JP2OpenJPEG", **usual, **profile}
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", width=width, height=height, count=count, dtype=samples.dtype, **profile) as raster,
    ):
        raster.write(np.moveaxis(samples, 2, 0))
        if mask is not None:
            raster.write_mask(mask)
    return path


def _open(path: Path) -> RasterioReader:
    return open_rasterio(read_header(path))


def _parts() -> Iterator[Rectangle]:
    for y in range(0, 300, 77):
        for x in range(0, 420, 77):
            yield Rectangle(y, x, min(100, 300 - y), min(100, 420 - x))


def _assert_equal_in_windows(reader: WindowReader, whole: NDArray[np.uint8]) -> None:
    assert reader.size_hw == whole.shape[:2]
    with closing(reader):
        for y, x, height, width in _parts():
            window = reader.window(Rectangle(y, x, height, width))
            assert window.missing == ()
            np.testing.assert_array_equal(window.pixels, whole[y : y + height, x : x + width])


@pytest.mark.parametrize("suffix", [".tif", ".jp2"])
@pytest.mark.parametrize("bands", [1, 3])
def test_windows_are_as_pillow_reads_the_file(tmp_path: Path, suffix: str, bands: int) -> None:
    path = tmp_path / f"a{suffix}"
    Image.fromarray(PIXELS[:, :, :bands].squeeze()).save(path)
    _assert_equal_in_windows(_open(path), open_upright(path))


@pytest.mark.parametrize("brightest", [200, 4000, 20_000, 65_535])
@pytest.mark.parametrize("bands", [1, 3])
def test_16_bits_are_scaled_by_the_brightest_value_of_the_whole_image(
    tmp_path: Path, bands: int, brightest: int
) -> None:
    samples = np.random.default_rng(3).integers(0, brightest // 2, (300, 420, bands), dtype=np.uint16)
    samples[-1, -1] = brightest
    path = _write(tmp_path / "a.tif", samples, photometric="RGB" if bands == 3 else "MINISBLACK")
    _assert_equal_in_windows(_open(path), open_upright(path))


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_values_of_other_types_from_their_least_to_their_largest(tmp_path: Path, dtype: type) -> None:
    samples = np.linspace(-50, 300, 300 * 420).reshape(300, 420, 1).astype(dtype)
    path = _write(tmp_path / "a.tif", samples)
    _assert_equal_in_windows(_open(path), open_upright(path))


def test_a_palette(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.tif", PIXELS[:, :, :1] % 16)
    with rasterio.open(path, "r+") as raster:
        raster.write_colormap(1, {index: (index, 255 - index, 7 * index, 255) for index in range(16)})
    index = PIXELS[:, :, 0] % 16
    _assert_equal_in_windows(_open(path), np.stack([index, 255 - index, 7 * index], axis=2))


def test_alpha_is_laid_on_white(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.tif", PIXELS, photometric="RGB", alpha="unspecified")
    _assert_equal_in_windows(_open(path), open_upright(path))


def test_no_data_is_white_and_does_not_count_for_the_range(tmp_path: Path) -> None:
    samples = np.linspace(0, 200, 300 * 420).reshape(300, 420, 1).astype(np.float32)
    samples[50:90, 60:200] = -9999
    path = _write(tmp_path / "a.tif", samples, nodata=-9999)
    grey = (samples[:, :, 0] * np.float32(255 / 255) + np.float32(0.5)).clip(0).astype(np.uint8)
    expected = np.repeat(grey[:, :, None], 3, axis=2)
    expected[50:90, 60:200] = 255
    _assert_equal_in_windows(_open(path), expected)


def test_a_mask_is_white(tmp_path: Path) -> None:
    mask = np.full((300, 420), 255, np.uint8)
    mask[100:130, 40:300] = 0
    path = _write(tmp_path / "a.tif", PIXELS[:, :, :3], mask, photometric="RGB")
    expected = PIXELS[:, :, :3].copy()
    expected[mask == 0] = 255
    _assert_equal_in_windows(_open(path), expected)


def test_red_green_and_blue_are_found_by_name_and_else_the_first_three(tmp_path: Path) -> None:
    names = rasterio.enums.ColorInterp
    path = _write(tmp_path / "a.tif", PIXELS, photometric="MINISBLACK", alpha="NO")
    reader = _open(path)
    assert remarks_of(reader) == (f"{path} has 4 bands; the first three are read as red, green and blue.",)
    _assert_equal_in_windows(reader, PIXELS[:, :, :3])
    with rasterio.open(path, "r+") as raster:
        raster.colorinterp = [names.undefined, names.blue, names.green, names.red]
    reader = _open(path)
    assert remarks_of(reader) == ()
    _assert_equal_in_windows(reader, PIXELS[:, :, [3, 2, 1]])


@pytest.mark.parametrize("turned", range(1, 9))
def test_every_orientation(tmp_path: Path, turned: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = turned
    path = tmp_path / "a.tif"
    Image.fromarray(PIXELS[:, :, :3]).save(path, exif=exif)
    whole = open_upright(path)
    with closing(_open(path)) as reader:
        assert reader.size_hw == whole.shape[:2]
        np.testing.assert_array_equal(reader.window(Rectangle(17, 29, 150, 90)).pixels, whole[17:167, 29:119])


@pytest.mark.parametrize("turned", [1, 6])
def test_a_tile_that_does_not_decode_is_missing_and_all_others_are_served(tmp_path: Path, turned: int) -> None:
    tifffile = pytest.importorskip("tifffile")
    path = tmp_path / "a.tif"
    tag = (274, "H", 1, turned, True)
    tifffile.imwrite(path, PIXELS[:, :, :3], tile=(128, 128), compression="deflate", photometric="rgb", extratags=[tag])
    whole = open_upright(path)
    with tifffile.TiffFile(path) as tiff:
        at = tiff.pages[0].dataoffsets[5]
    with path.open("r+b") as file:
        file.seek(at)
        file.write(bytes(1000))
    part = Rectangle(0, 0, *whole.shape[:2])
    with closing(_open(path)) as reader:
        window = reader.window(part)
    # 128 to 256 of rows and columns as stored; a quarter turn of 300 rows makes the latter 300 - 256 to 300 - 128.
    assert window.missing == (Rectangle(128, 128 if turned == 1 else 44, 128, 128),)
    assert window.reason
    y, x, height, width = window.missing[0]
    assert (window.pixels[y : y + height, x : x + width] == 128).all()
    expected = whole.copy()
    expected[y : y + height, x : x + width] = 128
    np.testing.assert_array_equal(window.pixels, expected)


def test_which_files_are_read_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_windows_module, "_SMALL_PIXELS", 100)
    jpeg2000 = _write(tmp_path / "a.jp2", PIXELS[:, :, :3])
    nodata = _write(tmp_path / "b.tif", PIXELS[:, :, :3], nodata=0)
    odd = _write(tmp_path / "c.tif", PIXELS[:, :, :1].astype(np.complex64))
    plain = _write(tmp_path / "d.tif", PIXELS[:, :, :3])
    for path, is_so in ((jpeg2000, True), (nodata, True), (plain, False)):
        with closing(open_windows(path)) as reader:
            assert isinstance(reader, RasterioReader) == is_so
    with pytest.raises(InputError, match=r"c\.tif"):
        open_windows(odd)
    monkeypatch.setattr(open_windows_module, "find_spec", lambda name: None if name == "tifffile" else name)
    with closing(open_windows(plain)) as reader:
        assert isinstance(reader, RasterioReader)


def test_the_reader_is_silent_and_does_not_touch_other_files(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    path = _write(tmp_path / "a.tif", PIXELS[:, :, :3], compress="deflate")
    os.truncate(path, path.stat().st_size // 2)
    (tmp_path / "a.tif.aux.xml").write_text("<PAMDataset><Metadata>nonsense</PAMDataset>")
    recwarn.clear()
    with closing(_open(path)) as reader:
        assert reader.window(Rectangle(0, 0, 300, 420)).missing
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.tif", "a.tif.aux.xml"]


def test_a_raster_that_names_other_files_is_refused(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.tif", PIXELS[:, :, :3])
    virtual = tmp_path / "a.vrt"
    virtual.write_text(
        f'<VRTDataset rasterXSize="1" rasterYSize="1"><SourceFilename>{path}</SourceFilename></VRTDataset>'
    )
    with pytest.raises(InputError, match="neither a TIFF nor a JPEG 2000"):
        open_raster(virtual)
    for name in (
        "/vsicurl/http://localhost/a.tif",
        f"GTIFF_DIR:1:{path}",
        f"zip://{path}!a.tif",
        "http://localhost/a.tif",
    ):
        with pytest.raises(InputError, match="is missing"):
            open_raster(name)


def test_a_file_in_one_piece_that_gdal_would_decode_for_each_window_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rasterio_reader, "_MOST_BLOCK_BYTES", 3 * 128 * 128)
    _open(_write(tmp_path / "tiles.tif", PIXELS[:, :, :3])).close()
    path = _write(tmp_path / "a.tif", PIXELS[:, :, :3], tiled=False, blockysize=300, compress="jpeg")
    with pytest.raises(InputError, match="stores 420 x 300 pixels in one piece, which cannot be decoded in parts"):
        _open(path)


def test_without_rasterio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _write(tmp_path / "a.jp2", PIXELS[:, :, :3])
    monkeypatch.setitem(sys.modules, "rasterio", None)
    with pytest.raises(NotInstalledError, match=r'need rasterio: pip install "\.\[geo\]"'):
        _open(path)
