"""GeoJSON as QuPath reads it: a feature collection, one rectangle a proposal, in pixels with y downwards.

The images, with those that have no proposals, stand beside the features as a further member (RFC 7946, section
6.1, allows it). No coordinate reference system: pixels are no degrees.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from objectness.datasets.outlines import around_points
from objectness.errors import InputError
from objectness.files import json_values
from objectness.files.atomic_write import replacing
from objectness.formats.core.parsed import FileBuilder, ParsedFile
from objectness.formats.core.sniffing import Content, Signature
from objectness.formats.core.spec import Capabilities, Fault, FileNames, Format, Ids, Reaction
from objectness.proposal_set import ProposalSet

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
    builder = FileBuilder(path)
    for number, entry in enumerate(listed if isinstance(listed, list) else [], start=1):
        image_id = json_values.image_id(entry.get("id")) if isinstance(entry, dict) else None
        if image_id is None or image_id in builder:
            raise InputError(f"{path}: image {number} of {_OURS!r} has no id of its own.")
        builder.image(image_id, image_id, json_values.text(entry.get("image")), json_values.size_hw(entry))
    drawn = 0
    for number, feature in enumerate(document["features"], start=1):
        xs, ys = _outline(path, feature, number)
        drawn += len(set(xs)) > 2 or len(set(ys)) > 2
        properties = feature.get("properties")
        properties = properties if isinstance(properties, dict) else {}
        measured = properties.get("measurements")
        where = f"feature {number}"
        score = json_values.score(properties, "score", path, where)
        if score is None and isinstance(measured, dict):
            score = json_values.score(measured, "score", path, where)
        image_id, name = json_values.image_id(properties.get("image_id")), json_values.text(properties.get("image"))
        key = image_id if image_id is not None else ("name", name)
        box = around_points(list(zip(xs, ys, strict=True)))
        level = json_values.number(properties.get("level"))
        builder.image(key, image_id, name).add(box, score, number, json_values.number(properties.get("logit")), level)
    notes = [f"took the box around {drawn} outlines that are no upright rectangles"] if drawn else []
    metadata = json_values.metadata(own.get("metadata")) if isinstance(own, dict) else {}
    return builder.finish("feature", metadata, notes)


def write(path: Path, proposals: ProposalSet) -> None:
    """Write one collection for all images; each feature says which image it lies on."""
    images = []
    for image_id, found in proposals.items():
        size = {"width": found.size_hw[1], "height": found.size_hw[0]} if min(found.size_hw) > 0 else {}
        images.append({"id": image_id, "image": found.source, **size})
    head = {"type": "FeatureCollection", _OURS: {"metadata": dict(proposals.metadata), "images": images}}
    with replacing(path) as file:
        for piece in json_values.object_lines(head, "features", _features(proposals)):
            file.write(piece)


def _outline(path: Path, feature: Any, number: int) -> tuple[list[float], list[float]]:
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
    return [x for x, _ in corners], [y for _, y in corners]


def _features(proposals: ProposalSet) -> Iterator[str]:
    for image_id, found in proposals.items():
        scores = json_values.short(found.scores)
        logits, levels = proposals.logits.get(image_id), proposals.levels.get(image_id)
        for index, corners in enumerate(found.boxes_xyxy):
            x1, y1, x2, y2 = json_values.short(corners)
            properties: dict[str, Any] = {
                "objectType": "annotation",
                "image_id": image_id,
                "image": found.source,
                "rank": index + 1,
                "score": scores[index],
                "measurements": {"score": scores[index]},
            }
            if logits is not None:
                properties["logit"] = float(f"{logits[index]:.9g}")
            if levels is not None:
                properties["level"] = int(levels[index])
            ring = [[x1, y1], [x2, y1], [x2, y2], [x1, y2], [x1, y1]]
            geometry = {"type": "Polygon", "coordinates": [ring]}
            yield json.dumps({"type": "Feature", "geometry": geometry, "properties": properties})


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
    reactions={Fault.NO_AREA: Reaction("QuPath", "draws nothing for a polygon without area", breaks=False)},
)
