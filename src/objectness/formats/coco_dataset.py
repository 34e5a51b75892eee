"""COCO data set: one JSON object with images, categories and annotations, each with a score.

Annotation tools (CVAT, FiftyOne, Datumaro) import it. ``segmentation`` is written empty, as CVAT takes a box
only then. ``info`` holds the set's metadata; logits and levels are further keys of an annotation.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from objectness.datasets.coco_document import parse_coco
from objectness.errors import InputError
from objectness.files import json_values
from objectness.files.atomic_write import replacing
from objectness.formats.core.classes import Labels, all_names, category_ids_of
from objectness.formats.core.parsed import FileBuilder, ParsedFile
from objectness.formats.core.sniffing import Content, Signature
from objectness.formats.core.spec import Capabilities, Fault, FileNames, Format, Ids, Reaction
from objectness.proposal_set import ImageId, ProposalSet


def parse(path: Path, _: object = None) -> ParsedFile:
    """Read the boxes of a COCO file; masks are dropped, with a sentence in ``notes``.

    Raises:
        InputError: the file is not such an object; an image or annotation in it is malformed.
    """
    document = parse_coco(path)
    builder, ids = FileBuilder(), set[ImageId]()
    for image in document.images():
        if image.image_id is None:
            raise InputError(f"{path}: image entry {image.number} has no usable 'id'.")
        if image.image_id in builder:
            raise InputError(f"{path}: image id {image.image_id} stands for two images: number them anew.")
        ids.add(image.image_id)
        builder.image(image.image_id, image.image_id, image.file_name, image.size_hw)
    names = dict(reversed(document.categories()))
    for category, name in document.categories():
        builder.class_number(name, category)
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
        builder.image(annotation.image_id).add(
            annotation.box_xyxy,
            json_values.score(entry, "score", path, label),
            annotation.number,
            json_values.number(entry.get("logit")),
            json_values.number(entry.get("level")),
            builder.class_number(names.get(annotation.category_id or 0), annotation.category_id),
        )
    notes = [f"took the boxes around {outlined} outlines"] if outlined else []
    lost = [f"left out the {len(classes)} classes: proposals have none"] if len(classes) > 1 else []
    return builder.finish("annotation", json_values.metadata(document.content.get("info")), notes, lost)


def write(path: Path, proposals: ProposalSet, labels: Labels | None = None) -> None:
    """Write a COCO file whose every annotation is a proposal, of the class "object" where there are no labels."""
    images = []
    for image_id, found in proposals.items():
        entry: dict[str, Any] = {"id": image_id, "file_name": found.source or f"{image_id}.jpg"}
        if min(found.size_hw) > 0:
            entry |= {"width": found.size_hw[1], "height": found.size_hw[0]}
        images.append(entry)
    head = {
        "info": dict(proposals.metadata),
        "images": images,
        "categories": [
            {"id": key, "name": name, "supercategory": ""}
            for name, key in zip(all_names(labels), labels.category_ids if labels else (1,), strict=True)
        ],
    }
    with replacing(path) as file:
        for piece in json_values.object_lines(head, "annotations", _annotations(proposals, labels)):
            file.write(piece)


def _annotations(proposals: ProposalSet, labels: Labels | None) -> Iterator[str]:
    number = 0
    for image_id, found in proposals.items():
        scores = json_values.short(found.scores)
        categories = category_ids_of(labels, image_id, len(found))
        logits, levels = proposals.logits.get(image_id), proposals.levels.get(image_id)
        for index, corners in enumerate(found.boxes_xyxy):
            number += 1
            x1, y1, x2, y2 = json_values.short(corners)
            # Twelve digits of the width give the far corner back exactly when it is read as float32.
            width, height = float(f"{x2 - x1:.12g}"), float(f"{y2 - y1:.12g}")
            entry: dict[str, Any] = {
                "id": number,
                "image_id": image_id,
                "category_id": categories[index],
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
    holds=Capabilities(
        ids=Ids.WHOLE_NUMBERS, names=FileNames.PATH, sizes=True, empty=True, logits=True, levels=True, metadata=True
    ),
    consumers="CVAT, FiftyOne, Datumaro and most annotation tools (COCO import)",
    signatures=(
        Signature(
            Content.JSON,
            outermost=("{",),
            any_key=frozenset({"images", "annotations"}),
            mentions=(b'"images"', b'"annotations"'),
        ),
    ),
    parse=parse,
    write=write,
    write_labelled=write,
    reactions={
        Fault.NO_SIZE: Reaction("FiftyOne", "cannot make its relative boxes without the image's width and height"),
        Fault.NO_AREA: Reaction("CVAT", "may refuse or drop a rectangle without area"),
        Fault.NO_SCORE: Reaction("every reader", "takes it for ground truth", breaks=False),
    },
)
