"""Detectron (the first) proposal pickles: ``{"boxes": [...], "scores": [...], "ids": [...], "cfg": text}``.

Its boxes count the last pixel in (width = x2 - x1 + 1), so 1 is added to the right and bottom corner when they
are read and taken off when they are written. Some of its files call the ids ``indexes``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from objectness.files.atomic_write import replacing_bytes
from objectness.formats.core.arrays import table, vector
from objectness.formats.core.parsed import FileBuilder, ParsedFile
from objectness.formats.core.safe_pickle import dump
from objectness.formats.core.sniffing import Content, Signature
from objectness.formats.core.spec import Capabilities, Coverage, Fault, Format, Ids, Reaction, StemIds
from objectness.formats.detectron2 import parallel_lists
from objectness.proposal_set import ProposalSet

_LAST_PIXEL = np.array([0, 0, 1, 1])


def parse(path: Path, _: object = None) -> ParsedFile:
    """Read the pickle without executing it.

    Raises:
        InputError: the file is no such pickle, or names anything that is not an array.
    """
    document, ids = parallel_lists(path, "scores")
    builder = FileBuilder()
    for position, image_id in enumerate(ids):
        boxes = table(path, document["boxes"][position], 4, f"'boxes' of image {image_id}") + _LAST_PIXEL
        scores = vector(path, document["scores"][position], len(boxes), f"the scores of image {image_id}")
        builder.image(position, image_id).extend(boxes, scores)
    return builder.finish("proposal")


def write(path: Path, proposals: ProposalSet) -> None:
    """Write the pickle."""
    document = {
        "boxes": [(found.boxes_xyxy - _LAST_PIXEL).astype(np.float32) for found in proposals.values()],
        "scores": [found.scores for found in proposals.values()],
        "ids": list(proposals),
    }
    with replacing_bytes(path) as file:
        dump(file, document, protocol=2)  # Python 2 reads no newer one


FORMAT = Format(
    name="detectron1",
    title="Detectron1 pickle",
    suffixes=(".pkl", ".pickle"),
    holds=Capabilities(ids=Ids.ANY, empty=True, precision="corners to float32 after 1 is taken off"),
    consumers="Detectron (TRAIN.PROPOSAL_FILES), detectron2",
    signatures=(
        Signature(
            Content.PICKLE,
            keys=frozenset({"boxes", "scores"}),
            any_key=frozenset({"ids", "indexes"}),
            no_key=frozenset({"objectness_logits"}),
        ),
    ),
    parse=parse,
    write=write,
    reactions={
        Fault.OTHER_ID: Reaction("Detectron", "stops: the proposals and the data set do not have the same images"),
        Fault.MISSING_IMAGE: Reaction("Detectron", "stops: the proposals and the data set do not have the same images"),
        Fault.UNKNOWN_IMAGE: Reaction("Detectron", "stops: the proposals and the data set do not have the same images"),
        Fault.UNSORTED: Reaction("Detectron", "takes the first ones for the best"),
    },
    coverage=Coverage.EXACT,
    stem_ids=StemIds.NUMBER,
)
