"""Detectron (the first) proposal pickles: ``{"boxes": [...], "scores": [...], "ids": [...], "cfg": text}``.

Its boxes count the last pixel in (width = x2 - x1 + 1), so 1 is added to the right and bottom corner when they
are read and taken off when they are written. Some of its files call the ids ``indexes``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from objectness.files.atomic_write import replacing_bytes
from objectness.formats.core.arrays import table, vector
from objectness.formats.core.known_images import KnownImages, finished
from objectness.formats.core.parsed import Parts, RawFile
from objectness.formats.core.safe_pickle import dump
from objectness.formats.core.sniffing import Peek, present
from objectness.formats.core.spec import Format, Holds, Kind, Rule
from objectness.formats.detectron2 import aligned
from objectness.proposal_set import ProposalSet, as_set
from objectness.proposals import Proposals

_LAST_PIXEL = np.array([0, 0, 1, 1])


def read(path: Path | str, known: KnownImages | None = None) -> ProposalSet:
    """Read the pickle without executing it.

    Raises:
        InputError: the file is no such pickle, or names anything that is not an array.
    """
    return finished(path, parse(present(path), known), known)


def parse(path: Path, known: KnownImages | None = None) -> RawFile:
    """Read a file as it stands."""
    document, ids = aligned(path, "scores")
    parts = Parts()
    for position, image_id in enumerate(ids):
        boxes = table(path, document["boxes"][position], 4, f"'boxes' of image {image_id}") + _LAST_PIXEL
        scores = vector(path, document["scores"][position], len(boxes), f"the scores of image {image_id}")
        parts.part(position, image_id).extend(boxes, scores)
    return parts.finish("proposal")


def write(path: Path | str, proposals: Mapping[Any, Proposals]) -> None:
    """Write the pickle.

    Raises:
        InputError: the place cannot be written to.
    """
    proposals = as_set(proposals)
    document = {
        "boxes": [(found.boxes_xyxy - _LAST_PIXEL).astype(np.float32) for found in proposals.values()],
        "scores": [found.scores for found in proposals.values()],
        "ids": list(proposals),
    }
    with replacing_bytes(Path(path)) as file:
        dump(file, document, protocol=2)  # Python 2 reads no newer one


def recognise(peek: Peek) -> bool:
    """A pickle with boxes, scores and ids or indexes, but no logits."""
    return (
        peek.is_pickle
        and peek.has_word("boxes")
        and peek.has_word("scores")
        and (peek.has_word("ids") or peek.has_word("indexes"))
        and not peek.mentions(b"objectness_logits")
    )


FORMAT = Format(
    name="detectron1",
    title="Detectron1 pickle",
    suffixes=(".pkl", ".pickle"),
    holds=Holds(ids="any", empty=True, precision="corners to float32 after 1 is taken off"),
    consumers="Detectron (TRAIN.PROPOSAL_FILES), detectron2",
    recognise=recognise,
    parse=parse,
    write=write,
    rules={
        Kind.OTHER_ID: Rule("Detectron", "stops: the proposals and the data set do not have the same images"),
        Kind.MISSING_IMAGE: Rule("Detectron", "stops: the proposals and the data set do not have the same images"),
        Kind.UNKNOWN_IMAGE: Rule("Detectron", "stops: the proposals and the data set do not have the same images"),
        Kind.UNSORTED: Rule("Detectron", "takes the first ones for the best"),
    },
    whole_data="exactly",
    stems="number",
)
