"""GeoJSON as QuPath reads it: a feature collection, one rectangle a proposal, in pixels with y downwards.

The images, with those that have no proposals, stand beside the features as a further member (RFC 7946, section
6.1, allows it). No coordinate reference system: pixels are no degrees.

:func:`write_located` puts the rectangles of GeoTIFFs into the coordinate system of these files, and names it in the
member ``crs`` of the GeoJSON of 2008, which GDAL and QGIS read. RFC 7946 (section 4) knows degrees of WGS 84 alone,
"where all involved parties have a prior arrangement" others; degrees would need a library of projections, and would
bend the edges of rectangles.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from objectness.datasets.outlines import around_points
from objectness.errors import InputError
from objectness.files import json_values
from objectness.files.atomic_write import replacing
from objectness.formats.core.classes import Labels, names_of
from objectness.formats.core.parsed import FileBuilder, ParsedFile
from objectness.formats.core.sniffing import Content, Signature
from objectness.formats.core.spec import Capabilities, Fault, FileNames, Format, Ids, Reaction
from objectness.images.geo_reference import GeoReference
from objectness.proposal_set import ImageId, ProposalSet

_OURS = "objectness"


def parse(path: Path, _: object = None) -> ParsedFile:
    """Read the polygons of a collection; of a polygon that is no upright rectangle, the box around it.

    Raises:
        InputError: the file is no feature collection, or a feature in it has no polygon of numbers.
    """
    document = json_values.load(path)
    if not isinstance(document, dict) or not isinstance(document.get("features"), list):
        raise InputError(f"{path} is no GeoJSON feature collection: it has no list 'features'.")
    own = document.get(_OURS)
    listed = own.get("images") if isinstance(own, dict) else None
    is_located = document.get("crs") is not None
    builder = FileBuilder(path)
    references: dict[ImageId, GeoReference] = {}
    for number, entry in enumerate(listed if isinstance(listed, list) else [], start=1):
        image_id = json_values.image_id(entry.get("id")) if isinstance(entry, dict) else None
        if image_id is None or image_id in builder:
            raise InputError(f"{path}: image {number} of {_OURS!r} has no id of its own.")
        builder.image(image_id, image_id, json_values.text(entry.get("image")), json_values.size_hw(entry))
        if (reference := _reference(entry)) is not None:
            references[image_id] = reference
    drawn = 0
    for number, feature in enumerate(document["features"], start=1):
        points = _outline(path, feature, number)
        properties = feature.get("properties")
        properties = properties if isinstance(properties, dict) else {}
        image_id, name = json_values.image_id(properties.get("image_id")), json_values.text(properties.get("image"))
        if is_located:
            points = _in_pixels(path, points, None if image_id is None else references.get(image_id), number)
        drawn += len({x for x, _ in points}) > 2 or len({y for _, y in points}) > 2
        measured = properties.get("measurements")
        where = f"feature {number}"
        score = json_values.score(properties, "score", path, where)
        if score is None and isinstance(measured, dict):
            score = json_values.score(measured, "score", path, where)
        key = image_id if image_id is not None else ("name", name)
        box = around_points(points)
        level = json_values.number(properties.get("level"))
        logit = json_values.number(properties.get("logit"))
        kind = properties.get("classification")
        label = builder.class_number(json_values.text(kind.get("name")) if isinstance(kind, dict) else None)
        builder.image(key, image_id, name).add(box, score, number, logit, level, label)
    notes = [f"took the box around {drawn} outlines that are no upright rectangles"] if drawn else []
    metadata = json_values.metadata(own.get("metadata")) if isinstance(own, dict) else {}
    return builder.finish("feature", metadata, notes)


def write(path: Path, proposals: ProposalSet, labels: Labels | None = None) -> None:
    """Write one collection for all images; each feature says which image it lies on."""
    _write(path, proposals, labels, {}, {})


def write_located(
    path: Path,
    proposals: ProposalSet,
    references: Mapping[ImageId, GeoReference],
    labels: Labels | None = None,
) -> None:
    """Write one collection in the coordinate system that all images share.

    Args:
        path: The file.
        proposals: Boxes in pixels.
        references: Image id -> where the image lies (:func:`objectness.images.geo_reference.geo_reference`).
        labels: Their classes.

    Raises:
        InputError: An image has no coordinate system, it has no EPSG code, or there are several.
    """
    systems: dict[str, str] = {}
    for image_id, found in proposals.items():
        name = found.source or f"image {image_id}"
        if image_id not in references:
            raise InputError(f"{name} has no coordinate system: write its boxes in pixels, or leave it out.")
        crs = references[image_id].crs
        if not crs.startswith("EPSG:"):
            known = "that has no EPSG code" if crs else "that could not be read"
            raise InputError(
                f"{name} is in a coordinate system {known}, which GeoJSON cannot name: "
                "write its boxes in pixels, or transform the image first (gdalwarp)."
            )
        systems.setdefault(crs, name)
    if len(systems) > 1:
        (one, first), (other, second) = list(systems.items())[:2]
        raise InputError(
            f"{first} is in {one} and {second} in {other}, and GeoJSON holds one coordinate system: "
            "write a file for each."
        )
    named = {"type": "name", "properties": {"name": _urn(*systems)}} if systems else None
    _write(path, proposals, labels, {"crs": named} if named else {}, references)


def _write(
    path: Path,
    proposals: ProposalSet,
    labels: Labels | None,
    members: Mapping[str, Any],
    references: Mapping[ImageId, GeoReference],
) -> None:
    images = []
    for image_id, found in proposals.items():
        entry: dict[str, Any] = {"id": image_id, "image": found.source}
        if min(found.size_hw) > 0:
            entry |= {"width": found.size_hw[1], "height": found.size_hw[0]}
        if image_id in references:
            entry["transform"] = list(references[image_id].transform)
        images.append(entry)
    own = {"metadata": dict(proposals.metadata), "images": images}
    head = {"type": "FeatureCollection", **members, _OURS: own}
    with replacing(path) as file:
        for piece in json_values.object_lines(head, "features", _features(proposals, labels, references)):
            file.write(piece)


def _urn(crs: str) -> str:
    """The name of "EPSG:n" as GDAL writes it; degrees are longitude first, which has a name of its own."""
    return "urn:ogc:def:crs:OGC:1.3:CRS84" if crs == "EPSG:4326" else f"urn:ogc:def:crs:EPSG::{crs[5:]}"


def _reference(entry: Mapping[str, Any]) -> GeoReference | None:
    """The transform of an image in a file of ours."""
    numbers = json_values.numbers(entry.get("transform"), 6)
    try:
        return None if numbers is None else GeoReference((*numbers[:3], *numbers[3:]))  # type: ignore[arg-type]
    except InputError:
        return None


def _in_pixels(
    path: Path, points: list[tuple[float, float]], reference: GeoReference | None, number: int
) -> list[tuple[float, float]]:
    if reference is None:
        raise InputError(
            f"{path}: feature {number} is in a coordinate system, not in pixels, and the file does not say where "
            "its image lies: write it in pixels."
        )
    with np.errstate(all="ignore"):  # numbers that are not finite are named as such later
        pixels = reference.to_pixels(points).astype(np.float32)  # takes away what the way there and back has added
    return [(float(x), float(y)) for x, y in pixels]


def _outline(path: Path, feature: Any, number: int) -> list[tuple[float, float]]:
    geometry = feature.get("geometry") if isinstance(feature, dict) else None
    rings = geometry.get("coordinates") if isinstance(geometry, dict) else None
    if not isinstance(geometry, dict) or geometry.get("type") != "Polygon" or not isinstance(rings, list) or not rings:
        raise InputError(f"{path}: feature {number} has no geometry of type Polygon.")
    ring = rings[0]
    points = (
        [json_values.numbers(point[:2], 2) for point in ring if isinstance(point, list)]
        if isinstance(ring, list)
        else []
    )
    corners = [point for point in points if point is not None]
    if not corners or len(corners) != len(ring):
        raise InputError(f"{path}: feature {number} has an outline that is not made of pairs of numbers.")
    return [(x, y) for x, y in corners]


def _features(
    proposals: ProposalSet, labels: Labels | None, references: Mapping[ImageId, GeoReference]
) -> Iterator[str]:
    for image_id, found in proposals.items():
        scores = json_values.short(found.scores)
        names = names_of(labels, image_id, len(found))
        logits, levels = proposals.logits.get(image_id), proposals.levels.get(image_id)
        reference = references.get(image_id)
        polygons = None if reference is None else reference.polygons(found.boxes_xyxy)
        for index, corners in enumerate(found.boxes_xyxy):
            properties: dict[str, Any] = {
                "objectType": "annotation",
                "image_id": image_id,
                "image": found.source,
                "rank": index + 1,
                "score": scores[index],
                "measurements": {"score": scores[index]},
            }
            if labels is not None:
                properties["classification"] = {"name": names[index]}
            if logits is not None:
                properties["logit"] = float(f"{logits[index]:.9g}")
            if levels is not None:
                properties["level"] = int(levels[index])
            ring = _rectangle(corners) if polygons is None else polygons[index].tolist()
            geometry = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
            yield json.dumps({"type": "Feature", "geometry": geometry, "properties": properties})


def _rectangle(corners: NDArray[np.float32]) -> list[list[float]]:
    x1, y1, x2, y2 = json_values.short(corners)
    return [[x1, y1], [x2, y1], [x2, y2], [x1, y2]]


FORMAT = Format(
    name="geojson",
    title="GeoJSON",
    suffixes=(".geojson",),
    holds=Capabilities(
        ids=Ids.ANY, names=FileNames.PATH, sizes=True, empty=True, logits=True, levels=True, metadata=True
    ),
    consumers="QuPath (one image a file), GDAL and GIS tools (as pixels)",
    signatures=(
        Signature(Content.JSON, outermost=("{",), keys=frozenset({"features"})),
        Signature(Content.JSON, outermost=("{",), keys=frozenset({"type"}), mentions=(b'"FeatureCollection"',)),
    ),
    parse=parse,
    write=write,
    write_labelled=write,
    reactions={Fault.NO_AREA: Reaction("QuPath", "draws nothing for a polygon without area", breaks=False)},
)
