"""Photographs with the most mistakes of a detector, each with its boxes."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from objectness.datasets.records import Record
from objectness.errors import InputError
from objectness.evaluation.detection.results import NamedResult, NamedResults
from objectness.images import open_upright

SIDE_PX = 360
_QUALITY = 80
MISSED, RIGHT, WRONG = "lost", "right", "wrong"


@dataclass(frozen=True)
class MarkedBox:
    """One box on a photograph.

    Attributes:
        kind: ``MISSED``, ``RIGHT`` or ``WRONG``.
        box_xyxy: In pixels of the small picture.
        words: Class, and what it was taken for.
    """

    kind: str
    box_xyxy: tuple[float, float, float, float]
    words: str


@dataclass(frozen=True)
class WorstPhotograph:
    """One photograph of the page.

    Attributes:
        file: Its name.
        size_wh: Of the small picture.
        picture: Its address with the pixels inside; None where the file cannot be read.
        boxes: Right ones first, so that mistakes lie on top.
        missed: Objects without a detection of their class.
        wrong: Detections that are no object of their class.
    """

    file: str
    size_wh: tuple[int, int]
    picture: str | None
    boxes: tuple[MarkedBox, ...]
    missed: int
    wrong: int


def worst_photographs(
    results: NamedResults, result: NamedResult, limit: int, on_image: Callable[[], None] = lambda: None
) -> list[WorstPhotograph]:
    """The photographs with the most mistakes of one method, at the score of its ``mistakes``, IoU .5.

    Args:
        results: With the photographs' paths in its records.
        result: One of its methods.
        limit: At most this many; those without a mistake are left out.
        on_image: Called after each (for progress).
    """
    found = result.mistakes
    flat, object_of = found.flat, found.object_of
    images = len(flat.image_ids)
    taken = object_of >= 0
    ignored = taken & np.append(flat.ignored, False)[object_of]
    right = taken & ~ignored & (np.append(flat.object_label, -1)[object_of] == flat.labels)
    wrong = ~right & ~ignored
    seen = np.zeros(len(flat.object_label), dtype=np.bool_)
    seen[object_of[right]] = True
    lost = ~seen & ~flat.ignored
    wrong_counts = np.bincount(flat.image_of[wrong], minlength=images)
    lost_counts = np.bincount(flat.object_image[lost], minlength=images)
    order = np.argsort(-(wrong_counts + lost_counts), kind="stable")[: max(0, limit)]
    records = {record.image_id: record for record in results.records}
    photographs = []
    for place in order[(wrong_counts + lost_counts)[order] > 0].tolist():
        record = records[int(flat.image_ids[place])]
        photo = _read(record)
        boxes: list[tuple[str, NDArray[np.float64], str]] = []
        for at in np.flatnonzero((flat.image_of == place) & (right | wrong)).tolist():
            name = results.class_names[int(flat.labels[at])]
            true = results.class_names[int(flat.object_label[object_of[at]])] if taken[at] else ""
            words = f"{name} {flat.scores[at]:.2f}" + (f" (is {true})" if wrong[at] and true else "")
            boxes.append((RIGHT if right[at] else WRONG, flat.boxes_xyxy[at], words))
        for at in np.flatnonzero((flat.object_image == place) & lost).tolist():
            words = f"{results.class_names[int(flat.object_label[at])]}, not found"
            boxes.append((MISSED, flat.object_boxes_xyxy[at], words))
        photographs.append(_photograph(record, photo, boxes, int(lost_counts[place]), int(wrong_counts[place])))
        on_image()
    return photographs


def _photograph(
    record: Record,
    photo: NDArray[np.uint8] | None,
    boxes: list[tuple[str, NDArray[np.float64], str]],
    missed: int,
    wrong: int,
) -> WorstPhotograph:
    reach = np.array([box[2:] for _, box, _ in boxes]).max(axis=0)
    height, width = photo.shape[:2] if photo is not None else record.size_hw or (float(reach[1]), float(reach[0]))
    scale = SIDE_PX / max(width, height, 1)
    size_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
    order = {RIGHT: 0, WRONG: 1, MISSED: 2}
    marked = []
    for kind, box, words in sorted(boxes, key=lambda one: order[one[0]]):
        x1, y1, x2, y2 = (round(float(value), 1) for value in np.clip(np.nan_to_num(box) * scale, -1e4, 1e4))
        marked.append(MarkedBox(kind, (x1, y1, x2, y2), words))
    picture = None if photo is None else _picture(photo, size_wh)
    return WorstPhotograph(record.path.name, size_wh, picture, tuple(marked), missed, wrong)


def _read(record: Record) -> NDArray[np.uint8] | None:
    try:
        return open_upright(record.path)
    except InputError:
        return None


def _picture(photo: NDArray[np.uint8], size_wh: tuple[int, int]) -> str:
    buffer = io.BytesIO()
    small = Image.fromarray(photo).resize(size_wh, Image.Resampling.BILINEAR, reducing_gap=2.0)
    small.save(buffer, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
