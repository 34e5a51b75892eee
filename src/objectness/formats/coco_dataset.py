"""COCO data set: one JSON object with images, categories and annotations, each with a score.

What annotation tools (CVAT, FiftyOne, Datumaro) import. ``segmentation`` is written empty, as CVAT takes a box
only then. ``info`` holds the set's metadata; logits and levels are further keys of an annotation.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from objectness.errors import InputError
from objectness.files.atomic_write import replacing
from objectness.formats.core import json_values
from objectness.formats.core.known_images import KnownImages, finished
from objectness.formats.core.parsed import Parts, RawFile
from objectness.formats.core.sniffing import Peek, present
from objectness.formats.core.spec import Format, Holds, Kind, Rule
from objectness.proposal_set import ProposalSet, as_set
from objectness.proposals import Proposals


def read(path: Path | str, known: KnownImages | None = None) -> ProposalSet:
    """Read the boxes of a COCO file as proposals; classes and masks are dropped, and ``notes`` says so.

    Raises:
        InputError: the file is not such an object; an image or annotation in it is malformed.
    """
    return finished(path, parse(present(path), known), known)


def parse(path: Path, known: KnownImages | None = None) -> RawFile:
    """Read a file as it stands."""
    document = json_values.load(path)
    for key in ("images", "annotations"):
        if not isinstance(document, dict) or not isinstance(document.get(key), list):
            raise InputError(f"{path} is no COCO data set: it has no list {key!r}.")
    parts = Parts()
    for number, entry in enumerate(document["images"], start=1):
        image_id = json_values.image_id(entry.get("id")) if isinstance(entry, dict) else None
        if image_id is None:
            raise InputError(f"{path}: image entry {number} has no usable 'id'.")
        if image_id in parts:
            raise InputError(f"{path}: image id {image_id} stands for two images: number them anew.")
        parts.part(image_id, image_id, json_values.text(entry.get("file_name")), json_values.size_hw(entry))
    classes = set()
    for number, entry in enumerate(document["annotations"], start=1):
        box = json_values.numbers(entry.get("bbox"), 4) if isinstance(entry, dict) else None
        if box is None:
            raise InputError(f"{path}: annotation {number} has no 'bbox' of four numbers.")
        image_id = json_values.image_id(entry.get("image_id"))
        if image_id is None or image_id not in parts:
            shown = json_values.shown(entry.get("image_id"))
            raise InputError(f"{path}: annotation {number} is for image {shown}, which 'images' does not list.")
        classes.add(json_values.shown(entry.get("category_id")))
        x, y, width, height = box
        level = json_values.number(entry.get("level"))
        parts.part(image_id).add(
            (x, y, x + width, y + height),
            json_values.score(entry, "score", path, f"annotation {number}"),
            number,
            json_values.number(entry.get("logit")),
            level,
        )
    notes = [f"left out the {len(classes)} classes: proposals have none"] if len(classes) > 1 else []
    return parts.finish("annotation", json_values.metadata(document.get("info")), notes)


def write(path: Path | str, proposals: Mapping[Any, Proposals]) -> None:
    """Write a COCO file whose every annotation is a proposal of the class "object".

    Raises:
        InputError: the place cannot be written to.
    """
    proposals = as_set(proposals)
    images = []
    for image_id, found in proposals.items():
        entry: dict[str, Any] = {"id": image_id, "file_name": found.source or f"{image_id}.jpg"}
        if min(found.size_hw) > 0:
            entry |= {"width": found.size_hw[1], "height": found.size_hw[0]}
        images.append(entry)
    head = {
        "info": dict(proposals.metadata),
        "images": images,
        "categories": [{"id": 1, "name": "object", "supercategory": ""}],
    }
    with replacing(Path(path)) as file:
        for piece in json_values.object_lines(head, "annotations", _annotations(proposals)):
            file.write(piece)


def recognise(peek: Peek) -> bool:
    """An object that has images and annotations, wherever in the file."""
    opening, keys = peek.json_shape
    return (
        opening == "{"
        and ({"images", "annotations"} & keys != set())
        and all(key in keys or peek.mentions(f'"{key}"'.encode()) for key in ("images", "annotations"))
    )


def _annotations(proposals: ProposalSet) -> Iterator[str]:
    number = 0
    for image_id, found in proposals.items():
        scores = json_values.short(found.scores)
        logits, levels = proposals.logits.get(image_id), proposals.levels.get(image_id)
        for index, corners in enumerate(found.boxes_xyxy):
            number += 1
            x1, y1, x2, y2 = json_values.short(corners)
            # Twelve digits of the width give the far corner back exactly when it is read as float32.
            width, height = float(f"{x2 - x1:.12g}"), float(f"{y2 - y1:.12g}")
            entry: dict[str, Any] = {
                "id": number,
                "image_id": image_id,
                "category_id": 1,
                "bbox": [x1, y1, width, height],
                "area": max(width, 0) * max(height, 0),
                "iscrowd": 0,
                "segmentation": [],
                "score": scores[index],
            }
            if logits is not None:
                entry["logit"] = float(f"{logits[index]:.9g}")
            if levels is not None:
                entry["level"] = int(levels[index])
            yield json.dumps(entry)


FORMAT = Format(
    name="coco",
    title="COCO data set",
    suffixes=(".json",),
    holds=Holds(ids="whole numbers", names="path", sizes=True, empty=True, logits=True, levels=True, metadata=True),
    consumers="CVAT, FiftyOne, Datumaro and most annotation tools (COCO import)",
    recognise=recognise,
    parse=parse,
    write=write,
    rules={
        Kind.NO_SIZE: Rule("FiftyOne", "cannot make its relative boxes without the image's width and height"),
        Kind.NO_AREA: Rule("CVAT", "may refuse or drop a rectangle without area"),
        Kind.NO_SCORE: Rule("every reader", "takes it for ground truth", breaks=False),
    },
)
