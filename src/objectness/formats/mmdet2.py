"""MMDetection 2 proposal pickles: a list in the order of the data set, each ``(N, 5)``: x1, y1, x2, y2, score,
or ``(N, 4)`` without scores.

The file names no image at all: the data set gives the images, in its order.
"""

from __future__ import annotations

from collections.abc import Sized
from pathlib import Path
from typing import Any

import numpy as np

from objectness.errors import InputError
from objectness.files.atomic_write import replacing_bytes
from objectness.formats.core.arrays import table
from objectness.formats.core.missing_context import need_data
from objectness.formats.core.parsed import FileBuilder, ParsedFile
from objectness.formats.core.safe_pickle import dump, load_plain
from objectness.formats.core.sniffing import Content, Signature
from objectness.formats.core.spec import Capabilities, Coverage, Fault, Format, Reaction
from objectness.image_index import ImageIndex
from objectness.proposal_set import ProposalSet


def parse(path: Path, image_index: ImageIndex | None = None) -> ParsedFile:
    """Read the pickle without executing it; image by image as the data set lists them.

    Raises:
        InputError: no data set is given, or it has another number of images; the file is no such pickle.
    """
    document = load_plain(path)
    if not isinstance(document, list) and not (isinstance(document, np.ndarray) and document.ndim == 3):
        raise InputError(f"{path} holds a {type(document).__name__}, where a list, one array an image, is due.")
    if image_index is None:
        raise need_data(path, f"it lists the boxes of {len(document)} images and names none")
    if len(document) != len(image_index.images):
        raise InputError(
            f"{path} has boxes of {len(document)} images, but {image_index.where} has {len(image_index.images)}: "
            "it was made for another data set or split.",
            arguments=("split",),
        )
    builder = FileBuilder()
    for position, (image, rows) in enumerate(zip(image_index.images, document, strict=True), start=1):
        boxes = table(path, rows, _columns(rows), f"entry {position}")
        scores = boxes[:, 4] if boxes.shape[1] == 5 else None
        builder.image(position, image.own_id, str(image.path), image.size_hw).extend(boxes[:, :4], scores)
    return builder.finish("proposal")


def _columns(rows: Any) -> int:
    """Number of columns, four or five: MMDetection also takes boxes without scores, in their order."""
    first = rows[0] if isinstance(rows, list | tuple) and rows else None
    is_bare = rows.shape[1:] == (4,) if isinstance(rows, np.ndarray) else isinstance(first, Sized) and len(first) == 4
    return 4 if is_bare else 5


def write(path: Path, proposals: ProposalSet) -> None:
    """Write the images in the order of the set, which must be that of the data set."""
    found = proposals.values()
    document = [np.concatenate([image.boxes_xyxy, image.scores[:, None]], axis=1) for image in found]
    with replacing_bytes(path) as file:
        dump(file, document)


FORMAT = Format(
    name="mmdet2",
    title="MMDetection 2 pickle",
    suffixes=(".pkl", ".pickle"),
    holds=Capabilities(empty=True),
    consumers="MMDetection 2 (proposal_file of a dataset)",
    signatures=(Signature(Content.PICKLE, outermost=("list",)),),
    parse=parse,
    write=write,
    reactions={
        Fault.MISSING_IMAGE: Reaction("MMDetection 2", "gives every later image the boxes of another"),
        Fault.UNKNOWN_IMAGE: Reaction("MMDetection 2", "gives every later image the boxes of another"),
        Fault.UNSORTED: Reaction("MMDetection 2", "takes the first num_max_proposals for the best"),
    },
    coverage=Coverage.EXACT,
)
