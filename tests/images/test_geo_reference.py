from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from objectness.errors import InputError
from objectness.images.geo_reference import GeoReference, geo_reference
from objectness.images.upright import as_stored

UTM = (0.5, 0.0, 500_000.0, 0.0, -0.5, 4_649_776.0)


def _tiff(
    path: Path,
    keys: dict[int, int],
    *,
    scale: tuple[float, ...] | None = (0.5, 0.5, 0.0),
    tie: tuple[float, ...] | None = (0.0, 0.0, 0.0, 500_000.0, 4_649_776.0, 0.0),
    matrix: tuple[float, ...] | None = None,
    turned: int = 1,
) -> Path:
    """A TIFF of 30 x 20 pixels with these GeoTIFF tags, written by Pillow alone."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, values in ((33550, scale), (33922, tie), (34264, matrix)):
        if values is not None:
            tags.tagtype[tag] = 12  # doubles
            tags[tag] = values
    if keys:
        tags.tagtype[34735] = 3  # shorts
        tags[34735] = (1, 1, 0, len(keys), *(word for key, value in keys.items() for word in (key, 0, 1, value)))
    tags[274] = turned
    Image.new("RGB", (30, 20)).save(path, tiffinfo=tags)
    return path


def test_scale_and_tie_point_by_hand(tmp_path: Path) -> None:
    path = _tiff(tmp_path / "a.tif", {1024: 1, 1025: 1, 3072: 32633})
    assert geo_reference(path) == GeoReference(UTM, "EPSG:32633")


def test_the_corners_of_a_box_by_hand(tmp_path: Path) -> None:
    reference = GeoReference(UTM, "EPSG:32633")
    corners = reference.polygons([[2, 4, 10, 20]])
    # 2 to 10 columns are 1 to 5 m east of the corner, 4 to 20 rows are 2 to 10 m south of it; against the clock.
    east, north = 500_000.0, 4_649_776.0
    expected = [[east + 1, north - 2], [east + 1, north - 10], [east + 5, north - 10], [east + 5, north - 2]]
    np.testing.assert_array_equal(corners, [expected])
    assert reference.polygons(np.empty((0, 4))).shape == (0, 4, 2)


def test_a_rotated_transform_by_hand() -> None:
    # A quarter turn: columns run south and rows run west, a metre a pixel.
    reference = GeoReference((0, -1, 100, -1, 0, 200))
    assert reference.is_mirrored
    np.testing.assert_array_equal(reference.to_ground([[0, 0], [3, 0], [0, 5]]), [[100, 200], [100, 197], [95, 200]])
    np.testing.assert_array_equal(reference.to_pixels([[100, 197], [95, 200]]), [[3, 0], [0, 5]])


@pytest.mark.parametrize(
    "transform", [UTM, (0.3, -0.1, 7, 0.1, 0.3, -2), (3e-6, 1e-6, 13.4, 2e-6, -4e-6, 52.5), (0, 2, 1, 3, 0, 1)]
)
def test_polygons_run_against_the_clock_and_come_back(transform: tuple[float, ...]) -> None:
    reference = GeoReference(transform)  # type: ignore[arg-type]
    boxes = np.array([[1.25, 2.5, 30.75, 44], [0, 0, 1, 1]], np.float32)
    polygons = reference.polygons(boxes)
    x, y = np.moveaxis(polygons - polygons[:, :1], -1, 0)
    signed_area = (x * np.roll(y, -1, axis=1) - np.roll(x, -1, axis=1) * y).sum(axis=1) / 2
    a, b, _, d, e, _ = transform
    sizes = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    np.testing.assert_allclose(signed_area, sizes * abs(a * e - b * d), rtol=1e-6)
    back = reference.to_pixels(polygons).astype(np.float32)
    np.testing.assert_allclose(back.min(axis=1), boxes[:, :2], atol=1e-5)
    np.testing.assert_allclose(back.max(axis=1), boxes[:, 2:], atol=1e-5)


def test_a_point_in_the_middle_of_a_pixel_is_moved_to_its_corner(tmp_path: Path) -> None:
    path = _tiff(tmp_path / "a.tif", {1024: 2, 1025: 2, 2048: 4326})
    assert geo_reference(path) == GeoReference((0.5, 0, 499_999.75, 0, -0.5, 4_649_776.25), "EPSG:4326")


@pytest.mark.parametrize("is_point", [False, True])
@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"tie": (3.0, 7.5, 0.0, 10.0, 20.0, 0.0), "scale": (2.0, 3.0, 0.0)},
        {"scale": None, "tie": None, "matrix": (1.5, 0.5, 0, 9, -0.5, -2, 0, 8, 0, 0, 0, 0, 0, 0, 0, 1)},
    ],
)
def test_gdal_reads_the_same(tmp_path: Path, tags: dict[str, tuple[float, ...]], is_point: bool) -> None:
    rasterio = pytest.importorskip("rasterio")
    path = _tiff(tmp_path / "a.tif", {1024: 1, 1025: 1 + is_point, 3072: 32633}, **tags)
    found = geo_reference(path)
    assert found is not None
    with rasterio.open(path) as raster:
        np.testing.assert_allclose(found.transform, tuple(raster.transform)[:6], rtol=1e-15)
        assert raster.crs.to_string() == found.crs


@pytest.mark.parametrize("turned", range(1, 9))
def test_a_turned_file_is_located_by_its_upright_pixels(tmp_path: Path, turned: int) -> None:
    stored = geo_reference(_tiff(tmp_path / "stored.tif", {1024: 1, 3072: 32633}))
    found = geo_reference(_tiff(tmp_path / "turned.tif", {1024: 1, 3072: 32633}, turned=turned))
    assert stored is not None
    assert found is not None
    height, width = (30, 20) if turned > 4 else (20, 30)
    y, x = np.mgrid[:height, :width]
    upright = np.stack([x, y, np.zeros_like(x)], axis=2).astype(np.uint8)
    there = as_stored(upright, turned)  # which upright pixel lies at each stored one
    rows, columns = np.mgrid[: there.shape[0], : there.shape[1]]
    centres = np.stack([columns, rows], axis=2) + 0.5
    np.testing.assert_allclose(found.to_ground(there[:, :, :2] + 0.5), stored.to_ground(centres), rtol=1e-15)


def test_a_big_tiff_and_one_of_floats_that_pillow_cannot_show(tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio")
    path = tmp_path / "a.tif"
    profile = {"driver": "GTiff", "width": 30, "height": 20, "count": 7, "dtype": "float32", "BIGTIFF": "YES"}
    transform = rasterio.Affine(*UTM)
    with rasterio.open(path, "w", crs="EPSG:32633", transform=transform, **profile) as raster:
        raster.write(np.zeros((7, 20, 30), np.float32))
    assert path.read_bytes()[2] == 43
    assert geo_reference(path) == GeoReference(UTM, "EPSG:32633")


def test_a_system_without_a_code_is_read_by_rasterio_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rasterio = pytest.importorskip("rasterio")
    path = tmp_path / "a.tif"
    profile = {"driver": "GTiff", "width": 30, "height": 20, "count": 1, "dtype": "uint8"}
    crs = "+proj=laea +lat_0=11 +lon_0=22 +ellps=GRS80 +units=m"
    with rasterio.open(path, "w", crs=crs, transform=rasterio.Affine(*UTM), **profile) as raster:
        raster.write(np.zeros((1, 20, 30), np.uint8))
    found = geo_reference(path)
    assert found is not None
    assert found.transform == UTM
    assert "Lambert_Azimuthal_Equal_Area" in found.crs
    monkeypatch.setattr("objectness.images.geo_reference.find_spec", lambda name: None)
    assert geo_reference(path) == GeoReference(UTM, "")


def test_jpeg_2000(tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio")
    path = tmp_path / "a.jp2"
    profile = {"driver": "JP2OpenJPEG", "width": 30, "height": 20, "count": 1, "dtype": "uint8"}
    with rasterio.open(path, "w", crs="EPSG:32633", transform=rasterio.Affine(*UTM), **profile) as raster:
        raster.write(np.zeros((1, 20, 30), np.uint8))
    assert geo_reference(path) == GeoReference(UTM, "EPSG:32633")


def test_what_has_no_coordinate_system(tmp_path: Path) -> None:
    image = Image.new("RGB", (30, 20))
    for suffix in (".jpg", ".png", ".tif", ".jp2", ".webp"):
        image.save(tmp_path / f"a{suffix}")
        assert geo_reference(tmp_path / f"a{suffix}") is None
    for name, content in {
        "empty.tif": b"",
        "cut.tif": b"II*\0",
        "nowhere.tif": b"II*\0\xff\xff\xff\xff",
        "far.tif": b"II+\0\x08\0\0\0" + b"\xff" * 8,
        "many.tif": struct.pack("<2sHIH", b"II", 42, 8, 60_000),
        "text.txt": b"II",
        "cut.jp2": b"\0\0\0\x0cjP  \r\n\x87\n",
    }.items():
        (tmp_path / name).write_bytes(content)
        assert geo_reference(tmp_path / name) is None, name
    assert geo_reference(tmp_path) is None
    assert geo_reference(tmp_path / "missing.tif") is None
    no_area = _tiff(tmp_path / "line.tif", {1024: 1}, scale=None, tie=None, matrix=(1.0,) * 16)
    assert geo_reference(no_area) is None
    control_points = _tiff(tmp_path / "gcp.tif", {1024: 1, 3072: 32633}, scale=None, tie=(0.0,) * 24)
    assert geo_reference(control_points) is None


@pytest.mark.parametrize("transform", [(1, 0, 0, 0, 0, 0), (1, 0, float("nan"), 0, 1, 0), (1, 0, 0, 0, 1)])
def test_a_transform_without_area_is_refused(transform: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="not six finite numbers that keep the area"):
        GeoReference(transform)  # type: ignore[arg-type]
