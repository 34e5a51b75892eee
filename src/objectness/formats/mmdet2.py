"""MMDetection 2 proposal pickles: a list in the order of the data set, each ``(N, 5)``: x1, y1, x2, y2, score,
or ``(N, 4)`` without scores.

The file names no image at all: whose boxes they are follows from the data set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sized
from pathlib import Path
from typing import Any

import numpy as np

from objectness.errors import InputError
from objectness.files.atomic_write import replacing_bytes
from objectness.formats.core.arrays import table
from objectness.formats.core.known_images import KnownImages, finished, need_data
from objectness.formats.core.parsed import Parts, RawFile
from objectness.formats.core.safe_pickle import dump, load_plain
from objectness.formats.core.sniffing import Peek, present
from objectness.formats.core.spec import Format, Holds, Kind, Rule
from objectness.proposal_set import ProposalSet, as_set
from objectness.proposals import Proposals


def read(path: Path | str, known: KnownImages | None = None) -> ProposalSet:
    """Read the pickle without executing it; image by image as the data set lists them.

    Raises:
        InputError: no data set is given, or it has another number of images; the file is no such pickle.
    """
    return finished(path, parse(present(path), known), known)


def parse(path: Path, known: KnownImages | None = None) -> RawFile:
    """Read a file as it stands."""
    document = load_plain(path)
    if not isinstance(document, list) and not (isinstance(document, np.ndarray) and document.ndim == 3):
        raise InputError(f"{path} holds a {type(document).__name__}, where a list, one array an image, is due.")
    if known is None:
        raise need_data(path, f"it lists the boxes of {len(document)} images and names none")
    if len(document) != len(known.images):
        raise InputError(
            f"{path} has boxes of {len(document)} images, but {known.where} has {len(known.images)}: "
            "it was made for another data set or split.",
            arguments=("split",),
        )
    parts = Parts()
    for position, (image, rows) in enumerate(zip(known.images, document, strict=True), start=1):
        boxes = table(path, rows, _columns(rows), f"entry {position}")
        scores = boxes[:, 4] if boxes.shape[1] == 5 else None
        parts.part(position, image.own_id, str(image.path), image.size_hw).extend(boxes[:, :4], scores)
    return parts.finish("proposal")


def _columns(rows: Any) -> int:
    """Four or five: MMDetection takes boxes without scores too, and goes by their order."""
    first = rows[0] if isinstance(rows, list | tuple) and rows else None
    is_bare = rows.shape[1:] == (4,) if isinstance(rows, np.ndarray) else isinstance(first, Sized) and len(first) == 4
    return 4 if is_bare else 5


def write(path: Path | str, proposals: Mapping[Any, Proposals]) -> None:
    """Write the images in the order of the set, which must be that of the data set.

    Raises:
        InputError: the place cannot be written to.
    """
    found = as_set(proposals).values()
    document = [np.concatenate([image.boxes_xyxy, image.scores[:, None]], axis=1) for image in found]
    with replacing_bytes(Path(path)) as file:
        dump(file, document)


def recognise(peek: Peek) -> bool:
    """A pickled list."""
    return peek.is_pickle and peek.pickled == "list"


FORMAT = Format(
    name="mmdet2",
    title="MMDetection 2 pickle",
    suffixes=(".pkl", ".pickle"),
    holds=Holds(empty=True),
    consumers="MMDetection 2 (proposal_file of a dataset)",
    recognise=recognise,
    parse=parse,
    write=write,
    rules={
        Kind.MISSING_IMAGE: Rule("MMDetection 2", "gives every later image the boxes of another"),
        Kind.UNKNOWN_IMAGE: Rule("MMDetection 2", "gives every later image the boxes of another"),
        Kind.UNSORTED: Rule("MMDetection 2", "takes the first num_max_proposals for the best"),
    },
    whole_data="exactly",
)
