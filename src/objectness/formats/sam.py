"""Box prompts of Segment Anything (SAM, SAM 2): one object an image with its boxes as the predictors take them.

``[{"image_id", "image", "width", "height", "boxes": [[x1, y1, x2, y2], ...], "scores": [...]}]``: ``boxes`` is N x 4 in
pixels of the upright image, right and bottom exclusive, best first; ``scores`` are not needed by SAM and may be
missing when read. Neither is any file format of SAM, whose predictors take arrays: ``docs/how-to/names.md``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from objectness.errors import InputError
from objectness.files import json_values
from objectness.files.atomic_write import replacing
from objectness.formats.core.parsed import FileBuilder, ImageBuilder, ParsedFile
from objectness.formats.core.sniffing import Content, Signature
from objectness.formats.core.spec import Capabilities, Fault, FileNames, Format, Ids, Reaction
from objectness.image_index import ImageIndex
from objectness.proposal_set import ProposalSet


def parse(path: Path, image_index: ImageIndex | None = None) -> ParsedFile:
    """Read the boxes of each image, and their scores where it has some.

    Raises:
        InputError: the file is no list of images; a box is malformed; there are more or fewer scores than boxes.
    """
    document = json_values.load(path)
    if not isinstance(document, list):
        raise InputError(f"{path} holds {json_values.kind(document)}, but a list of images with 'boxes' is due.")
    builder = FileBuilder()
    for number, entry in enumerate(document, start=1):
        boxes = entry.get("boxes") if isinstance(entry, dict) else None
        if not isinstance(boxes, list):
            raise InputError(f"{path}: entry {number} is no image with 'boxes'.")
        name = json_values.text(entry.get("image"))
        image_id = json_values.image_id(entry.get("image_id"))
        rows = builder.image(number, image_id, name, json_values.size_hw(entry))
        _fill(path, rows, boxes, entry.get("scores"), number)
    return builder.finish("box")


def write(path: Path, proposals: ProposalSet) -> None:
    """Write one object an image."""
    with replacing(path) as file:
        json_values.write_list(file, _lines(proposals))


def _fill(path: Path, rows: ImageBuilder, boxes: list[Any], scores: Any, image: int) -> None:
    if scores is not None and (not isinstance(scores, list) or len(scores) != len(boxes)):
        given = f"{len(scores)}" if isinstance(scores, list) else json_values.kind(scores)
        raise InputError(f"{path}: entry {image} has {len(boxes)} boxes, but as 'scores' {given}; give one for each.")
    for number, box in enumerate(boxes, start=1):
        corners = json_values.numbers(box, 4)
        if corners is None:
            raise InputError(f"{path}: box {number} of entry {image} is no list of four numbers x1, y1, x2, y2.")
        own = {} if scores is None else {"score": scores[number - 1]}
        rows.add(corners, json_values.score(own, "score", path, f"box {number} of entry {image}"), number)


def _lines(proposals: ProposalSet) -> Iterator[str]:
    for image_id, found in proposals.items():
        height, width = found.size_hw
        head: dict[str, Any] = {"image_id": image_id, "image": found.source}
        if min(found.size_hw) > 0:
            head |= {"width": width, "height": height}
        boxes = [json_values.short(corners) for corners in found.boxes_xyxy]
        yield json.dumps({**head, "boxes": boxes, "scores": json_values.short(found.scores)})


FORMAT = Format(
    name="sam",
    title="SAM box prompts",
    suffixes=(".json",),
    holds=Capabilities(ids=Ids.ANY, names=FileNames.PATH, sizes=True, empty=True),
    consumers="Segment Anything (SAM, SAM 2), by a loop of a few lines",
    signatures=(Signature(Content.JSON, outermost=("[{",), keys=frozenset({"image", "boxes"})),),
    parse=parse,
    write=write,
    reactions={
        Fault.NO_AREA: Reaction("SAM", "segments whatever lies at the point", breaks=False),
        Fault.OUTSIDE: Reaction("SAM", "gives a mask that means nothing"),
        Fault.DUPLICATE: Reaction("SAM", "gives the same mask twice", breaks=False),
    },
)
