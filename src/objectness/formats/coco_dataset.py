"""COCO data set: one JSON object with images, categories and annotations, each with a score.

What annotation tools (CVAT, FiftyOne, Datumaro) import. ``segmentation`` is written empty, as CVAT takes a box
only then. ``info`` holds the set's metadata; logits and levels are further keys of an annotation.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from objectness.datasets.coco_document import parse_coco
from objectness.errors import InputError
from objectness.files import json_values
from objectness.files.atomic_write import replacing
from objectness.formats.core.known_images import KnownImages, finished
from objectness.formats.core.parsed import Parts, RawFile
from objectness.formats.core.sniffing import Peek, present
from objectness.formats.core.spec import Format, Holds, Kind, Rule
from objectness.proposal_set import ImageId, ProposalSet, as_set
from objectness.proposals import Proposals


def read(path: Path | str, known: KnownImages | None = None) -> ProposalSet:
    """Read the boxes of a COCO file as proposals; classes and masks are dropped, and ``notes`` says so.

    Raises:
        InputError: the file is not such an object; an image or annotation in it is malformed.
    """
    return finished(path, parse(present(path), known), known)


def parse(path: Path, known: KnownImages | None = None) -> RawFile:
    """Read a file as it stands."""
    document = parse_coco(path)
    parts, ids = Parts(), set[ImageId]()
    for image in document.images():
        if image.image_id is None:
            raise InputError(f"{path}: image entry {image.number} has no usable 'id'.")
        if image.image_id in parts:
            raise InputError(f"{path}: image id {image.image_id} stands for two images: number them anew.")
        ids.add(image.image_id)
        parts.part(image.image_id, image.image_id, image.file_name, image.size_hw)
    classes, outlined = set(), 0
    for annotation in document.annotations(ids):
        entry, label = annotation.entry, f"annotation {annotation.number}"
        if annotation.box_xyxy is None:
            raise InputError(f"{path}: {label} has no 'bbox' of four numbers.")
        if annotation.image_id is None:
            image_id = json_values.shown(entry.get("image_id"))
            raise InputError(f"{path}: {label} is for image {image_id}, which 'images' does not list.")
        outlined += annotation.is_outlined
        classes.add(annotation.category_id)
        parts.part(annotation.image_id).add(
            annotation.box_xyxy,
            json_values.score(entry, "score", path, label),
            annotation.number,
            json_values.number(entry.get("logit")),
            json_values.number(entry.get("level")),
        )
    notes = [f"left out the {len(classes)} classes: proposals have none"] if len(classes) > 1 else []
    if outlined:
        notes.append(f"took the boxes around {outlined} outlines")
    return parts.finish("annotation", json_values.metadata(document.content.get("info")), notes)


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
