"""Detectron2 ``box_proposals.pkl``, the file that ``PROPOSAL_FILES`` names and its RPN-only evaluation writes.

``{"boxes": [(N, 4) ...], "objectness_logits": [(N,) ...], "ids": [...], "bbox_mode": 0}``, parallel lists, one
entry an image. Every image of the data set must be there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from objectness.errors import InputError
from objectness.files import json_values
from objectness.files.atomic_write import replacing_bytes
from objectness.formats.core.arrays import table, vector
from objectness.formats.core.parsed import FileBuilder, ParsedFile
from objectness.formats.core.safe_pickle import dump, load_plain
from objectness.formats.core.sniffing import Content, Signature
from objectness.formats.core.spec import Capabilities, Coverage, Fault, Format, Ids, Reaction, StemIds
from objectness.proposal_set import ProposalSet

_XYXY, _XYWH = 0, 1
_SMALLEST = 1e-12  # a probability of 0 or 1 has no logit


def parse(path: Path, _: object = None) -> ParsedFile:
    """Read the pickle without executing it; scores are the sigmoid of the logits, which are kept too.

    Raises:
        InputError: the file is no such pickle, or names anything that is not an array.
    """
    document, ids = parallel_lists(path, "objectness_logits")
    mode = document.get("bbox_mode", _XYXY)
    if not isinstance(mode, int) or mode not in (_XYXY, _XYWH):
        raise InputError(
            f"{path}: bbox_mode is {json_values.shown(mode)}; known are 0 (x1, y1, x2, y2) and 1 (x, y, width, height)."
        )
    builder = FileBuilder()
    for position, image_id in enumerate(ids):
        boxes = table(path, document["boxes"][position], 4, f"'boxes' of image {image_id}").copy()
        logits = vector(path, document["objectness_logits"][position], len(boxes), f"the logits of image {image_id}")
        if mode == _XYWH:
            boxes[:, 2:] += boxes[:, :2]
        # A logit that is not finite would turn into an innocent 0 or 1.
        scores = np.where(np.isfinite(logits), sigmoid(logits), np.nan)
        builder.image(position, image_id).extend(boxes, scores, logits=logits)
    return builder.finish("proposal")


def write(path: Path, proposals: ProposalSet) -> None:
    """Write the pickle: true logits where they are known, else the logit of the score."""
    document = {
        "boxes": [found.boxes_xyxy for found in proposals.values()],
        "objectness_logits": [proposals.logits.get(key, logit(found.scores)) for key, found in proposals.items()],
        "ids": list(proposals),
        "bbox_mode": _XYXY,
    }
    with replacing_bytes(path) as file:
        dump(file, document)


def parallel_lists(path: Path, scores: str) -> tuple[dict[str, Any], list[int | str]]:
    """The dictionary of a Detectron pickle and its image ids, with lists of equal length.

    Raises:
        InputError: a list is missing or of another length, an id is neither a whole number nor text.
    """
    document = load_plain(path)
    if not isinstance(document, dict):
        raise InputError(f"{path} holds a {type(document).__name__}, where a dictionary with 'boxes' and 'ids' is due.")
    given = document.get("ids", document.get("indexes"))
    plain = given.tolist() if isinstance(given, np.ndarray) else given
    if not isinstance(plain, list):
        raise InputError(f"{path}: there is no list 'ids' in it.")
    for name in ("boxes", scores):
        listed = document.get(name)
        if not isinstance(listed, list | np.ndarray) or (isinstance(listed, np.ndarray) and listed.ndim == 0):
            raise InputError(f"{path}: there is no list {name!r} in it.")
        if len(listed) != len(plain):
            raise InputError(f"{path}: {name!r} and 'ids' do not have the same length.")
    ids = [json_values.image_id(image_id) for image_id in plain]
    if any(image_id is None for image_id in ids):
        raise InputError(
            f"{path}: image id {json_values.shown(plain[ids.index(None)])} is no whole number and no text."
        )
    return document, [image_id for image_id in ids if image_id is not None]


def sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities of logits."""
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-logits))


def logit(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits of probabilities; scores outside 0 to 1 are no probabilities and count as logits."""
    if len(scores) and (scores.min() < 0 or scores.max() > 1):
        return scores
    safe = np.clip(scores.astype(np.float64), _SMALLEST, 1 - _SMALLEST)
    return (np.log(safe) - np.log1p(-safe)).astype(np.float32)


FORMAT = Format(
    name="detectron2",
    title="detectron2 pickle",
    suffixes=(".pkl", ".pickle"),
    holds=Capabilities(ids=Ids.ANY, empty=True, logits=True),
    consumers="detectron2 (DATASETS.PROPOSAL_FILES_TRAIN / _TEST)",
    signatures=(Signature(Content.PICKLE, keys=frozenset({"objectness_logits", "boxes"})),),
    parse=parse,
    write=write,
    reactions={
        Fault.OTHER_ID: Reaction("detectron2", "raises KeyError for an image whose id it does not find"),
        Fault.MISSING_IMAGE: Reaction("detectron2", "raises KeyError for an image of the data set that the file lacks"),
        Fault.UNKNOWN_IMAGE: Reaction("detectron2", "passes over images that the data set does not have", breaks=False),
        Fault.OUTSIDE: Reaction("detectron2", "clips the box to nothing and drops it", breaks=False),
        Fault.STICKS_OUT: Reaction("detectron2", "clips the box to the image", breaks=False),
        Fault.NO_AREA: Reaction("detectron2", "drops boxes without area", breaks=False),
        Fault.UNSORTED: Reaction("detectron2", "sorts by logit itself", breaks=False),
    },
    coverage=Coverage.ALL,
    stem_ids=StemIds.TEXT,
)
