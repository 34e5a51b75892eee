"""Hugging Face style JSON: the output of its object-detection pipeline, in one object an image.

Written: ``[{"image_id", "image", "width", "height", "objects": [{"score", "label", "box": {"xmin", "ymin",
"xmax", "ymax"}}]}]``. Read as well: the pipeline's own list for one image, its list of lists for several (which
names no image: the data set must tell), and one object an image with
``"proposals": [{"box", "score"}]`` in place of ``"objects"``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from objectness.errors import InputError
from objectness.files import json_values
from objectness.files.atomic_write import replacing
from objectness.formats.core.classes import Labels, names_of
from objectness.formats.core.missing_context import need_data
from objectness.formats.core.parsed import FileBuilder, ImageBuilder, ParsedFile
from objectness.formats.core.sniffing import Content, Signature
from objectness.formats.core.spec import Capabilities, FileNames, Format, Ids
from objectness.image_index import ImageIndex
from objectness.proposal_set import ProposalSet

_CORNERS = ("xmin", "ymin", "xmax", "ymax")


def parse(path: Path, image_index: ImageIndex | None = None) -> ParsedFile:
    """Read any of these documents.

    Raises:
        InputError: the file is none of them, or one entry is malformed.
    """
    document = json_values.load(path)
    builder = FileBuilder()
    if isinstance(document, dict):
        document = [document]
    if not isinstance(document, list):
        raise InputError(f"{path} holds {json_values.kind(document)}, but a list of detections is due.")
    if document and all(isinstance(item, list) for item in document):
        _several(path, document, image_index, builder)
    elif document and all(isinstance(item, dict) and "box" in item for item in document):
        _fill(path, builder, builder.image(1), document)
    else:
        for number, entry in enumerate(document, start=1):
            _whole_image(path, builder, entry, number)
    return builder.finish("object")


def write(path: Path, proposals: ProposalSet, labels: Labels | None = None) -> None:
    """Write one object an image; corners stay fractions of a pixel (the pipeline's own are whole numbers)."""
    with replacing(path) as file:
        json_values.write_list(file, _lines(proposals, labels))


def _several(path: Path, document: list[Any], image_index: ImageIndex | None, builder: FileBuilder) -> None:
    if image_index is None:
        raise need_data(path, "it lists detections image by image and names no image")
    if len(document) != len(image_index.images):
        raise InputError(
            f"{path} has detections of {len(document)} images, but {image_index.where} has {len(image_index.images)}."
        )
    for position, (image, objects) in enumerate(zip(image_index.images, document, strict=True), start=1):
        _fill(path, builder, builder.image(position, image.own_id, str(image.path), image.size_hw), objects)


def _whole_image(path: Path, builder: FileBuilder, entry: Any, number: int) -> None:
    objects = entry.get("objects", entry.get("proposals")) if isinstance(entry, dict) else None
    if not isinstance(objects, list):
        raise InputError(f"{path}: entry {number} is no image with 'objects', and no detection with 'score' and 'box'.")
    image = entry.get("image")
    size_hw = json_values.size_hw(entry)
    name = json_values.text(image)
    if isinstance(image, dict):
        size_hw = size_hw or json_values.size_hw(image)
        name = json_values.text(image.get("file_name")) or json_values.text(image.get("path"))
    rows = builder.image(number, json_values.image_id(entry.get("image_id")), name, size_hw)
    _fill(path, builder, rows, objects)


def _fill(path: Path, builder: FileBuilder, rows: ImageBuilder, objects: list[Any]) -> None:
    for number, entry in enumerate(objects, start=1):
        box = entry.get("box") if isinstance(entry, dict) else None
        listed = [box.get(corner) for corner in _CORNERS] if isinstance(box, dict) else box
        corners = json_values.numbers(listed, 4)
        if corners is None:
            raise InputError(f"{path}: object {number} of an image has no 'box' with {', '.join(_CORNERS)} as numbers.")
        score = json_values.score(entry, "score", path, f"object {number} of an image")
        rows.add(corners, score, number, class_number=builder.class_number(json_values.text(entry.get("label"))))


def _lines(proposals: ProposalSet, labels: Labels | None) -> Iterator[str]:
    for image_id, found in proposals.items():
        height, width = found.size_hw
        head: dict[str, Any] = {"image_id": image_id, "image": found.source}
        if min(found.size_hw) > 0:
            head |= {"width": width, "height": height}
        objects = [
            {"score": score, "label": name, "box": dict(zip(_CORNERS, json_values.short(corners), strict=True))}
            for corners, score, name in zip(
                found.boxes_xyxy,
                json_values.short(found.scores),
                names_of(labels, image_id, len(found)),
                strict=True,
            )
        ]
        yield json.dumps({**head, "objects": objects})


FORMAT = Format(
    name="huggingface",
    title="Hugging Face style JSON",
    suffixes=(".json",),
    holds=Capabilities(ids=Ids.ANY, names=FileNames.PATH, sizes=True, empty=True),
    consumers="whatever reads the output of a transformers object-detection pipeline",
    signatures=(
        Signature(Content.JSON, outermost=("[{", "[[{"), keys=frozenset({"score", "box"})),
        Signature(Content.JSON, outermost=("[{",), keys=frozenset({"objects"})),
        Signature(Content.JSON, outermost=("{",), keys=frozenset({"image", "proposals"})),
    ),
    parse=parse,
    write=write,
    write_labelled=write,
)
