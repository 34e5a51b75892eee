"""GeoJSON in the coordinate system of GeoTIFFs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from objectness.errors import InputError
from objectness.formats import read_proposals
from objectness.formats.geojson import write_located
from objectness.images.geo_reference import GeoReference
from objectness.proposal_set import ProposalSet
from objectness.proposals import Proposals

UTM = GeoReference((0.5, 0, 500_000, 0, -0.5, 4_649_776), "EPSG:32633")
ROTATED = GeoReference((0.3, 0.1, 500_007, 0.1, -0.3, 4_649_700), "EPSG:32633")
DEGREES = GeoReference((1e-5, 0, 13.4, 0, -1e-5, 52.5), "EPSG:4326")


def _set(*sources: str) -> ProposalSet:
    generator = np.random.default_rng(1)
    images = {}
    for number, source in enumerate(sources, start=1):
        corners = generator.uniform(0, 9000, (40, 2, 2))
        boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1).astype(np.float32)
        scores = np.sort(generator.uniform(0, 1, 40).astype(np.float32))[::-1].copy()
        images[number] = Proposals(boxes, scores, (6000, 10_000), source)
    return ProposalSet(images)


def _document(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return document


def test_corners_and_system_by_hand(tmp_path: Path) -> None:
    found = Proposals(np.array([[2, 4, 10, 20]], np.float32), np.array([0.5], np.float32), (20, 30), "a.tif")
    write_located(tmp_path / "a.geojson", ProposalSet({7: found}), {7: UTM})
    document = _document(tmp_path / "a.geojson")
    assert document["crs"] == {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}}
    (feature,) = document["features"]
    assert feature["geometry"]["coordinates"] == [
        [[500_001, 4_649_774], [500_001, 4_649_766], [500_005, 4_649_766], [500_005, 4_649_774], [500_001, 4_649_774]]
    ]
    assert feature["properties"]["score"] == 0.5


@pytest.mark.parametrize("references", [(UTM, ROTATED), (DEGREES, DEGREES)])
def test_what_is_written_in_a_system_is_read_in_pixels(
    tmp_path: Path, references: tuple[GeoReference, GeoReference]
) -> None:
    written = _set("a.tif", "b.tif")
    write_located(tmp_path / "a.geojson", written, dict(zip((1, 2), references, strict=True)))
    read = read_proposals(tmp_path / "a.geojson")
    assert list(read) == [1, 2]
    assert read.notes == ()  # a turned rectangle is one all the same, in pixels
    for image_id, found in written.items():
        assert read[image_id].size_hw == found.size_hw
        np.testing.assert_array_equal(read[image_id].scores, found.scores)
        np.testing.assert_allclose(read[image_id].boxes_xyxy, found.boxes_xyxy, rtol=0, atol=1e-3)


def test_degrees_are_longitude_first_and_called_so(tmp_path: Path) -> None:
    write_located(tmp_path / "a.geojson", _set("a.tif"), {1: DEGREES})
    document = _document(tmp_path / "a.geojson")
    assert document["crs"]["properties"]["name"] == "urn:ogc:def:crs:OGC:1.3:CRS84"
    longitude, latitude = document["features"][0]["geometry"]["coordinates"][0][0]
    assert 13 < longitude < 14
    assert 52 < latitude < 53


def test_gdal_knows_the_names_of_the_systems(tmp_path: Path) -> None:
    crs = pytest.importorskip("rasterio.crs")
    for reference in (UTM, DEGREES):
        write_located(tmp_path / "a.geojson", _set("a.tif"), {1: reference})
        name = _document(tmp_path / "a.geojson")["crs"]["properties"]["name"]
        known = crs.CRS.from_user_input(name)
        assert known.to_epsg() == int(reference.crs[5:]) or "CRS84" in known.to_wkt()


def test_a_set_without_proposals(tmp_path: Path) -> None:
    empty = Proposals(np.empty((0, 4), np.float32), np.empty(0, np.float32), (20, 30), "a.tif")
    write_located(tmp_path / "a.geojson", ProposalSet({1: empty}), {1: UTM})
    assert len(read_proposals(tmp_path / "a.geojson")[1]) == 0
    write_located(tmp_path / "a.geojson", ProposalSet({}), {})
    assert "crs" not in _document(tmp_path / "a.geojson")


@pytest.mark.parametrize(
    ("references", "message"),
    [
        ({1: UTM}, "^b.tif has no coordinate system: write its boxes in pixels"),
        ({1: UTM, 2: DEGREES}, "^a.tif is in EPSG:32633 and b.tif in EPSG:4326, and GeoJSON holds one"),
        ({1: UTM, 2: GeoReference(UTM.transform)}, "^b.tif is in a coordinate system that could not be read"),
        ({1: UTM, 2: GeoReference(UTM.transform, "PROJCS[...]")}, "^b.tif is in a coordinate system that has no EPSG"),
    ],
)
def test_images_that_do_not_share_a_system_with_a_code(
    tmp_path: Path, references: dict[int | str, GeoReference], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        write_located(tmp_path / "a.geojson", _set("a.tif", "b.tif"), references)
    assert not (tmp_path / "a.geojson").exists()


@pytest.mark.parametrize("transform", [None, [1, 0, 0, 0, 0, 0], "north", [1, 2]])
def test_a_file_in_a_system_that_does_not_say_where_its_images_lie(tmp_path: Path, transform: Any) -> None:
    path = tmp_path / "a.geojson"
    write_located(path, _set("a.tif"), {1: UTM})
    document = _document(path)
    document["objectness"]["images"][0]["transform"] = transform
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match="feature 1 is in a coordinate system, not in pixels"):
        read_proposals(path)


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.geojson"
    write_located(path, _set("a.tif"), {1: UTM})
    document = _document(path)
    document["features"][3]["geometry"]["coordinates"][0][1] = [1e999, 3]
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match="not made of finite numbers"):
        read_proposals(path)
