"""FiftyOne: a ``FiftyOneImageDetectionDataset`` folder, ``labels.json`` and the images in ``data/``.

``{"classes": ["object"], "labels": {"name without suffix": [{"label": 0, "bounding_box": [x, y, w, h],
"confidence"}]}}``, boxes as fractions of the image. Only ``labels.json`` is written; the images go into ``data/``,
or FiftyOne gets their folder as ``data_path``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from objectness.errors import InputError
from objectness.files import json_values
from objectness.files.atomic_write import replacing
from objectness.formats.core.classes import Labels, positions_of
from objectness.formats.core.file_names import short_names, stem
from objectness.formats.core.image_lookup import index_images
from objectness.formats.core.missing_context import need_sizes, unknown_size
from objectness.formats.core.parsed import FileBuilder, ParsedFile
from objectness.formats.core.sniffing import Content, FileHead, Signature, file_head
from objectness.formats.core.spec import Capabilities, Fault, FileNames, Format, Reaction
from objectness.image_index import ImageIndex
from objectness.proposal_set import ProposalSet

_LABELS = "labels.json"
_OPENING = '{"classes": ["object"], "labels": {'
_NAMED_OPENING = '{"info": {"made by": "objectness"}, "classes": '


def parse(path: Path, image_index: ImageIndex | None = None) -> ParsedFile:
    """Read a folder (or its labels.json); sizes come from ``image_index``, else from the images in ``data/``.

    Raises:
        InputError: there is no such file, or no size of an image; a detection is malformed.
    """
    file = path / _LABELS if path.is_dir() else path
    document = json_values.load(file)
    labels = document.get("labels") if isinstance(document, dict) else None
    if not isinstance(labels, dict):
        raise InputError(f"{file} is no labels.json of FiftyOne: it has no object 'labels'.")
    if image_index is None and (file.parent / "data").is_dir():
        image_index = index_images(images=file.parent / "data")
    builder = FileBuilder()
    listed = document.get("classes")
    classes = [str(word) for word in listed] if isinstance(listed, list) else []
    for position, word in enumerate(classes):
        builder.class_number(word, position=position)
    for name, detections in labels.items():
        image = image_index.find(name) if image_index else None
        rows = builder.image(name, None, str(image.path) if image else name, image.size_hw if image else None)
        if detections is not None and not isinstance(detections, list):
            raise InputError(f"{file}: the labels of {json_values.shown(name)} are no list.")
        for number, entry in enumerate(detections or [], start=1):
            given = entry.get("bounding_box") if isinstance(entry, dict) else None
            box = json_values.numbers(given, 4)
            if box is None:
                raise InputError(
                    f"{file}: detection {number} of {json_values.shown(name)} has no 'bounding_box' of four numbers."
                )
            if rows.size_hw is None:
                raise unknown_size(file, json_values.shown(name), image_index)
            height, width = rows.size_hw
            x, y = box[0] * width, box[1] * height
            corners = (x, y, x + box[2] * width, y + box[3] * height)
            rows.add(
                corners,
                json_values.score(entry, "confidence", file, f"detection {number} of {json_values.shown(name)}"),
                number,
                class_number=_class_number(builder, classes, entry.get("label")),
            )
    return builder.finish("detection")


def write(path: Path, proposals: ProposalSet, labels: Labels | None = None) -> None:
    """Write ``labels.json`` into the folder.

    Raises:
        InputError: the size of an image is unknown; two images have one name; the folder has a labels.json
            that was not written here; the place cannot be written to.
    """
    need_sizes(proposals, FORMAT.title)
    target = path / _LABELS
    ours = (_OPENING.encode(), _NAMED_OPENING.encode())
    if target.exists() and not file_head(target).head.startswith(ours):
        raise InputError(f"{target} was not written here, maybe it is the ground truth: name a new folder.")
    with replacing(target) as file:
        file.write(_OPENING if labels is None else f'{_NAMED_OPENING}{json.dumps(labels.names)}, "labels": {{')
        for position, line in enumerate(_lines(proposals, labels)):
            file.write(f"{',' if position else ''}\n{line}")
        file.write("\n}}\n")


def _holds_labels(head: FileHead) -> bool:
    return (head.path / _LABELS).is_file()


def _class_number(builder: FileBuilder, classes: list[str], given: Any) -> int:
    """The class that a label is: a position in the list, or a name."""
    position = json_values.image_id(given)
    if isinstance(position, int):
        return builder.class_number(classes[position] if 0 <= position < len(classes) else None, position=position)
    return builder.class_number(position, position=classes.index(position) if position in classes else None)


def _lines(proposals: ProposalSet, labels: Labels | None) -> Iterator[str]:
    for image_id, name in short_names(proposals).items():
        found = proposals[image_id]
        height, width = found.size_hw
        detections = [
            {
                "label": label,
                "bounding_box": [x1 / width, y1 / height, (x2 - x1) / width, (y2 - y1) / height],
                "confidence": score,
            }
            for (x1, y1, x2, y2), score, label in zip(
                found.boxes_xyxy.astype(float).tolist(),
                json_values.short(found.scores),
                positions_of(labels, image_id, len(found)),
                strict=True,
            )
        ]
        yield f"{json.dumps(stem(name))}: {json.dumps(detections)}"


FORMAT = Format(
    name="fiftyone",
    title="FiftyOne",
    suffixes=(),
    parts=(".json",),
    holds=Capabilities(names=FileNames.STEM, empty=True),
    consumers="FiftyOne (FiftyOneImageDetectionDataset)",
    signatures=(
        Signature(Content.FOLDER, check=_holds_labels),
        Signature(Content.JSON, outermost=("{",), keys=frozenset({"labels"}), no_key=frozenset({"images", "features"})),
    ),
    parse=parse,
    write=write,
    write_labelled=write,
    reactions={
        Fault.UNKNOWN_IMAGE: Reaction("FiftyOne", "passes over labels without an image", breaks=False),
        Fault.OUTSIDE: Reaction("FiftyOne", "draws it beyond the image", breaks=False),
    },
)
