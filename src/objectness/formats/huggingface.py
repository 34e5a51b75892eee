"""Hugging Face style JSON: what its object-detection pipeline gives, one object an image around it.

Written: ``[{"image_id", "image", "width", "height", "objects": [{"score", "label", "box": {"xmin", "ymin",
"xmax", "ymax"}}]}]``. Read as well: the pipeline's own list for one image, its list of lists for several (which
names no image: the data set must tell), and the document of our server, ``{"image", "proposals": [{"box",
"score"}]}``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from objectness.errors import InputError
from objectness.files import json_values
from objectness.files.atomic_write import replacing
from objectness.formats.core.known_images import KnownImages, finished, need_data
from objectness.formats.core.parsed import Part, Parts, RawFile
from objectness.formats.core.sniffing import Peek, present
from objectness.formats.core.spec import Format, Holds
from objectness.proposal_set import ProposalSet, as_set
from objectness.proposals import Proposals

_CORNERS = ("xmin", "ymin", "xmax", "ymax")


def read(path: Path | str, known: KnownImages | None = None) -> ProposalSet:
    """Read any of these documents; labels are dropped.

    Raises:
        InputError: the file is none of them, or one entry is malformed.
    """
    return finished(path, parse(present(path), known), known)


def parse(path: Path, known: KnownImages | None = None) -> RawFile:
    """Read a file as it stands."""
    document = json_values.load(path)
    parts = Parts()
    if isinstance(document, dict):
        document = [document]
    if not isinstance(document, list):
        raise InputError(f"{path} holds {json_values.kind(document)}, but a list of detections is due.")
    if document and all(isinstance(item, list) for item in document):
        _several(path, document, known, parts)
    elif document and all(isinstance(item, dict) and "box" in item for item in document):
        _fill(path, parts.part(1), document)
    else:
        for number, entry in enumerate(document, start=1):
            _whole_image(path, parts, entry, number)
    return parts.finish("object")


def write(path: Path | str, proposals: Mapping[Any, Proposals]) -> None:
    """Write one object an image; corners stay fractions of a pixel (the pipeline's own are whole numbers).

    Raises:
        InputError: the place cannot be written to.
    """
    with replacing(Path(path)) as file:
        json_values.write_list(file, _lines(as_set(proposals)))


def recognise(peek: Peek) -> bool:
    """Detections with score and box, plain or in lists, or objects that hold them."""
    opening, keys = peek.json_shape
    plain = {"score", "box"} <= keys
    return (
        (opening in ("[{", "[[{") and plain)
        or (opening == "[{" and "objects" in keys)
        or (opening == "{" and {"image", "proposals"} <= keys)
    )


def _several(path: Path, document: list[Any], known: KnownImages | None, parts: Parts) -> None:
    if known is None:
        raise need_data(path, "it lists detections image by image and names no image")
    if len(document) != len(known.images):
        raise InputError(f"{path} has detections of {len(document)} images, but {known.where} has {len(known.images)}.")
    for position, (image, objects) in enumerate(zip(known.images, document, strict=True), start=1):
        _fill(path, parts.part(position, image.own_id, str(image.path), image.size_hw), objects)


def _whole_image(path: Path, parts: Parts, entry: Any, number: int) -> None:
    objects = entry.get("objects", entry.get("proposals")) if isinstance(entry, dict) else None
    if not isinstance(objects, list):
        raise InputError(f"{path}: entry {number} is no image with 'objects', and no detection with 'score' and 'box'.")
    image = entry.get("image")
    size_hw = json_values.size_hw(entry)
    name = json_values.text(image)
    if isinstance(image, dict):
        size_hw = size_hw or json_values.size_hw(image)
        name = json_values.text(image.get("file_name")) or json_values.text(image.get("path"))
    _fill(path, parts.part(number, json_values.image_id(entry.get("image_id")), name, size_hw), objects)


def _fill(path: Path, part: Part, objects: list[Any]) -> None:
    for number, entry in enumerate(objects, start=1):
        box = entry.get("box") if isinstance(entry, dict) else None
        listed = [box.get(corner) for corner in _CORNERS] if isinstance(box, dict) else box
        corners = json_values.numbers(listed, 4)
        if corners is None:
            raise InputError(f"{path}: object {number} of an image has no 'box' with {', '.join(_CORNERS)} as numbers.")
        part.add(corners, json_values.score(entry, "score", path, f"object {number} of an image"), number)


def _lines(proposals: ProposalSet) -> Iterator[str]:
    for image_id, found in proposals.items():
        height, width = found.size_hw
        head: dict[str, Any] = {"image_id": image_id, "image": found.source}
        if min(found.size_hw) > 0:
            head |= {"width": width, "height": height}
        objects = [
            {"score": score, "label": "object", "box": dict(zip(_CORNERS, json_values.short(corners), strict=True))}
            for corners, score in zip(found.boxes_xyxy, json_values.short(found.scores), strict=True)
        ]
        yield json.dumps({**head, "objects": objects})


FORMAT = Format(
    name="huggingface",
    title="Hugging Face style JSON",
    suffixes=(".json",),
    holds=Holds(ids="any", names="path", sizes=True, empty=True),
    consumers="whatever reads the output of a transformers object-detection pipeline",
    recognise=recognise,
    parse=parse,
    write=write,
)
