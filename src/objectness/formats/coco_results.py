"""COCO results: the JSON list that pycocotools and most detection tools read.

One entry a proposal: ``{"image_id", "category_id": 1, "bbox": [x, y, width, height], "score"}``, pixels of
the upright photograph. The list itself can name no file and no image without proposals, so a table of the
images lies beside it: ``proposals.json`` has ``proposals.images.json``, a list of ``{"id", "file_name",
"width", "height"}``.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from objectness.atomic_write import replacing
from objectness.boxes import xyxy_to_xywh
from objectness.errors import InputError
from objectness.formats import json_text
from objectness.formats.description import Format, Holds, Kind, Rule
from objectness.formats.json_text import kind, load, shown, write_list
from objectness.formats.known import KnownImages, finished
from objectness.formats.peek import Peek, present
from objectness.formats.raw import RawFile, raw_image
from objectness.proposal_set import ProposalSet
from objectness.proposals import Proposals

_NUMBERS = frozenset({int, float})
_COLUMNS = 7  # of a packed entry: image_id, category_id, x, y, width, height, score


def images_path(path: Path | str) -> Path:
    """The table beside a proposals file: ``proposals.json`` -> ``proposals.images.json``."""
    path = Path(path)
    return path.with_suffix(f".images{path.suffix or '.json'}")


def write(path: Path | str, proposals: Mapping[Any, Proposals], *, images: bool = True) -> None:
    """Write a COCO results file, and the table of its images beside it.

    Both files appear whole or not at all. Coordinates are rounded to 0.01 pixel, scores to six digits.

    Args:
        path: The ``.json`` file; its folder is made where it is missing.
        proposals: image id (a whole number) -> its proposals, best first.
        images: Write the table too; without it an older table at its place is removed, as it would be a wrong
            one.

    Raises:
        InputError: a box or a score that is not finite, an id that is no whole number, or a place that cannot
            be written to.
    """
    path = Path(path)
    with replacing(path) as file:
        write_list(file, (line for image_id, found in proposals.items() for line in _entries(image_id, found)))
    if images:
        with replacing(images_path(path)) as file:
            write_list(file, (json.dumps(_image(image_id, found)) for image_id, found in proposals.items()))
    else:
        images_path(path).unlink(missing_ok=True)


def read(path: Path | str, known: KnownImages | None = None) -> ProposalSet:
    """Read any COCO results file; categories are dropped.

    The proposals of an image come best first; equal scores stay in the order of category and file, which is
    the order that pycocotools takes them in. The table of the images, where one lies beside the file, gives
    the sizes, the file names and the images without proposals; without it sizes are (0, 0).

    Raises:
        InputError: a file that is not such a list, with the number of the entry (from 1) and what is wrong
            with it.
    """
    return finished(path, parse(present(path), known), known)


def parse(path: Path, known: KnownImages | None = None) -> RawFile:
    """Read a file as it stands."""
    columns = array("d")  # seven numbers an entry: a list of dicts would take ten times the memory
    document = load(path, lambda entry: _pack(entry, columns))
    if not isinstance(document, list):
        what = "a JSON object" if document is _PACKED else kind(document)
        raise InputError(
            f"{path} holds {what}, but COCO results are a list of "
            '{"image_id", "category_id", "bbox", "score"}: give the results file, not the annotations.'
        )
    for number, entry in enumerate(document, start=1):
        if entry is not _PACKED:
            raise InputError(f"{path}: entry {number} {_fault(entry)}.")
    if len(columns) != _COLUMNS * len(document):
        raise InputError(f"{path}: an entry holds another entry inside: COCO results are a flat list.")
    table = np.frombuffer(columns, dtype=np.float64).reshape(-1, _COLUMNS) if columns else np.empty((0, _COLUMNS))
    order = np.lexsort((table[:, 1], table[:, 0]))  # by image, then category, then place
    table = table[order]
    ids, starts = np.unique(table[:, 0], return_index=True)
    rows = np.full((len(table), 9), np.nan)
    with np.errstate(invalid="ignore"):  # infinite corners: validate names them
        rows[:, :4] = np.concatenate([table[:, 2:4], table[:, 2:4] + table[:, 4:6]], axis=1)
    rows[:, 4], rows[:, 5], rows[:, 8] = table[:, 6], 1, order + 1
    parts = dict(zip(ids.astype(np.int64).tolist(), np.split(rows, starts[1:]), strict=True)) if len(ids) else {}
    beside = _read_images(images_path(path))
    images = [
        raw_image(image_id, name, size_hw, parts.get(image_id, np.empty((0, 9))))
        for image_id in [*beside, *(image_id for image_id in parts if image_id not in beside)]
        for size_hw, name in [beside.get(image_id, (None, None))]
    ]
    return RawFile(tuple(images), "entry")


def recognise(peek: Peek) -> bool:
    """A list of objects with these keys, or an empty list: nothing was found, in the commonest format."""
    opening, keys = peek.json_shape
    if opening == "[":
        return peek.head.split() in ([b"[]"], [b"[", b"]"])
    return opening == "[{" and {"image_id", "bbox", "score"} <= keys


def _entries(image_id: int | str, found: Proposals) -> Iterator[str]:
    """The lines of one image."""
    if isinstance(image_id, str):
        raise InputError(f"Image {image_id!r}: COCO results take whole numbers as image ids; nothing was written.")
    usable = np.isfinite(found.boxes_xyxy).all(axis=1) & np.isfinite(found.scores)
    if not usable.all():
        raise InputError(
            f"Image {image_id}: proposal {int(np.argmin(usable)) + 1} has a box or a score that is not a "
            "finite number; nothing was written."
        )
    # Corners are rounded before the width is taken, so that the far corner is right to 0.005 too.
    boxes = np.round(xyxy_to_xywh(np.round(found.boxes_xyxy.astype(np.float64), 2)), 2)
    boxes[:, 2:] = np.maximum(boxes[:, 2:], 0)
    for box, score in zip(boxes.tolist(), found.scores.tolist(), strict=True):
        yield f'{{"image_id": {int(image_id)}, "category_id": 1, "bbox": {box}, "score": {score:.6g}}}'


def _image(image_id: int, found: Proposals) -> dict[str, Any]:
    height, width = found.size_hw
    return {"id": int(image_id), "file_name": found.source, "width": width, "height": height}


class _Packed:
    """Stands in the parsed list for an entry that was right."""


_PACKED = _Packed()


def _pack(entry: dict[str, Any], columns: array[float]) -> _Packed | dict[str, Any]:
    """Move a right entry into ``columns``; leave every other object (a mask, say) as it is."""
    if _is_plain(entry):
        columns.extend((entry["image_id"], entry["category_id"], *entry["bbox"], entry["score"]))
        return _PACKED
    if _fault(entry):
        return entry
    values = (entry["image_id"], entry["category_id"], *entry["bbox"], entry["score"])
    columns.extend([json_text.number(value) or 0.0 for value in values])
    return _PACKED


def _is_plain(entry: dict[str, Any]) -> bool:
    """Whether an entry is right beyond doubt, as nearly all are: ``_fault`` takes several times as long to say so."""
    try:
        (x, y, width, height), score = entry["bbox"], entry["score"]
        return (
            type(entry["image_id"]) is int is type(entry["category_id"])
            and type(entry["bbox"]) is list
            and {type(x), type(y), type(width), type(height), type(score)} <= _NUMBERS
            and abs(entry["image_id"]) <= 2**53
            and abs(entry["category_id"]) <= 2**53
            and abs(x) < 1e38
            and abs(y) < 1e38
            and 0 <= width < 1e38
            and 0 <= height < 1e38
            and abs(score) < 1e38
        )
    except (KeyError, TypeError, ValueError):
        return False


def _fault(entry: Any) -> str:
    """What is wrong with an entry so that nothing can be made of it, or nothing."""
    if not isinstance(entry, dict):
        what = "a JSON object" if entry is _PACKED else kind(entry)
        return f"is {what}, not an object with image_id, category_id, bbox and score"
    for key in ("image_id", "category_id", "bbox", "score"):
        if key not in entry:
            return f"has no {key!r}"
    for key in ("image_id", "category_id"):
        if not isinstance(json_text.image_id(entry[key]), int):  # beyond 2^53 floats skip numbers
            return f"has the {key} {shown(entry[key])}, which is not a whole number (up to 2^53)"
    if json_text.numbers(entry["bbox"], 4) is None:
        return f"has the bbox {shown(entry['bbox'])}, which is not four finite numbers x, y, width, height"
    if json_text.number(entry["score"]) is None:
        return f"has the score {shown(entry['score'])}, which is not a finite number"
    return ""


def _read_images(path: Path) -> dict[int, tuple[tuple[int, int] | None, str | None]]:
    """The table beside the results: image id -> size and file name; empty where there is no table."""
    if not path.is_file():
        return {}
    document = load(path)
    rows: dict[int, tuple[tuple[int, int] | None, str | None]] = {}
    for position, row in enumerate(document if isinstance(document, list) else [None], start=1):
        image_id = json_text.image_id(row.get("id")) if isinstance(row, dict) else None
        if not (
            isinstance(image_id, int)
            and isinstance(row.get("file_name", 0), str | None)
            and all(_is_side(row.get(side)) for side in ("width", "height"))
        ):
            raise InputError(
                f'{path}: image {position} is not {{"id", "file_name", "width", "height"}}: '
                "correct it, or delete the file to go without sizes and names."
            )
        rows[image_id] = (json_text.size_hw(row), row["file_name"])
    return rows


def _is_side(value: Any) -> bool:
    """A side of an image, or the 0 of one that is unknown."""
    return json_text.number(value) is not None or json_text.side(value) > 0


FORMAT = Format(
    name="coco-results",
    title="COCO results",
    suffixes=(".json",),
    holds=Holds(
        ids="whole numbers", names="path", sizes=True, empty=True, precision="boxes to 0.01 pixel, scores to six digits"
    ),
    consumers="pycocotools (loadRes), detectron2 and mmdetection evaluators, FiftyOne (add_coco_labels)",
    recognise=recognise,
    parse=parse,
    write=write,
    rules={
        Kind.UNKNOWN_IMAGE: Rule("pycocotools", "stops: results do not correspond to the ground truth (loadRes)"),
        Kind.MISSING_IMAGE: Rule("pycocotools", "counts the image's objects as missed", breaks=False),
        Kind.UNSORTED: Rule("pycocotools", "sorts by score itself", breaks=False),
        Kind.NO_SCORE: Rule("pycocotools", "raises KeyError: 'score'"),
    },
)
