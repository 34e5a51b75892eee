"""COCO results: the JSON list that pycocotools and most detection tools read.

One entry a proposal: ``{"image_id", "category_id": 1, "bbox": [x, y, width, height], "score"}``, pixels of
the upright photograph. The list itself can name no file and no image without proposals, so a table of the
images lies beside it: ``proposals.json`` has ``proposals.images.json``, a list of ``{"id", "file_name",
"width", "height"}``.
"""

from __future__ import annotations

import json
import reprlib
from array import array
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from objectness.boxes import xywh_to_xyxy, xyxy_to_xywh
from objectness.errors import InputError
from objectness.formats.replacing import replacing
from objectness.proposals import Proposals

_NUMBERS = frozenset({int, float})
_NAMES = {list: "a list", dict: "a JSON object", str: "text", bool: "true or false", type(None): "null"}


def images_path(path: Path | str) -> Path:
    """The table beside a results file: ``proposals.json`` -> ``proposals.images.json``."""
    return Path(path).with_suffix(".images.json")


def write(path: Path | str, proposals: Mapping[int, Proposals], *, images: bool = True) -> None:
    """Write a COCO results file, and the table of its images beside it.

    Both files appear whole or not at all. Coordinates are rounded to 0.01 pixel, scores to six digits.

    Args:
        path: The ``.json`` file; its folder is made where it is missing.
        proposals: image id -> its proposals, best first.
        images: Write the table too; without it an older table at its place is removed, as it would be a wrong
            one.

    Raises:
        InputError: a box or a score that is not finite, or a place that cannot be written to.
    """
    path = Path(path)
    with replacing(path) as file:
        _write_list(file, (line for image_id, found in proposals.items() for line in _entries(image_id, found)))
    if images:
        with replacing(images_path(path)) as file:
            _write_list(file, (json.dumps(_image(image_id, found)) for image_id, found in proposals.items()))
    else:
        images_path(path).unlink(missing_ok=True)


def read(path: Path | str) -> dict[int, Proposals]:
    """Read any COCO results file; categories are dropped.

    The proposals of an image come best first; equal scores stay in the order of category and file, which is
    the order that pycocotools takes them in. The table of the images, where one lies beside the file, gives
    the sizes, the file names and the images without proposals; without it sizes are (0, 0).

    Raises:
        InputError: a file that is not such a list, with the number of the entry (from 1) and what is wrong
            with it.
    """
    path = Path(path)
    columns = array("d")  # seven numbers an entry: a list of dicts would take ten times the memory
    document = _load(path, lambda entry: _pack(entry, columns))
    if not isinstance(document, list):
        raise InputError(
            f"{path} holds {_name(document)}, but COCO results are a list of "
            '{"image_id", "category_id", "bbox", "score"}: give the results file, not the annotations.'
        )
    for number, entry in enumerate(document, start=1):
        if entry is not _PACKED:
            raise InputError(f"{path}: entry {number} {_fault(entry)}.")
    if len(columns) != 7 * len(document):
        raise InputError(f"{path}: an entry holds another entry inside: COCO results are a flat list.")
    table = np.frombuffer(columns, dtype=np.float64).reshape(-1, 7) if columns else np.empty((0, 7))
    known = _read_images(images_path(path))
    table = table[np.lexsort((table[:, 1], -table[:, 6], table[:, 0]))]  # by image, then best first, then category
    ids, starts = np.unique(table[:, 0], return_index=True)
    parts = dict(zip(ids.astype(np.int64).tolist(), np.split(table, starts[1:]), strict=True)) if len(ids) else {}
    empty = np.empty((0, 7))
    result = {}
    for image_id in [*known, *(image_id for image_id in parts if image_id not in known)]:
        rows = parts.get(image_id, empty)
        size_hw, source = known.get(image_id, ((0, 0), None))
        result[image_id] = Proposals(
            xywh_to_xyxy(rows[:, 2:6]).astype(np.float32), rows[:, 6].astype(np.float32), size_hw, source
        )
    return result


def _entries(image_id: int, found: Proposals) -> Iterator[str]:
    """The lines of one image."""
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


def _write_list(file: TextIO, lines: Iterable[str]) -> None:
    file.write("[")
    for number, line in enumerate(lines):
        file.write(f"{',' if number else ''}\n{line}")
    file.write("\n]\n")


class _Packed:
    """Stands in the parsed list for an entry that was right."""


_PACKED = _Packed()


def _pack(entry: dict[str, Any], columns: array[float]) -> _Packed | dict[str, Any]:
    """Move a right entry into ``columns``; leave every other object (a mask, say) as it is."""
    if not _is_plain(entry) and _fault(entry):
        return entry
    columns.extend((entry["image_id"], entry["category_id"], *entry["bbox"], entry["score"]))
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
    """What is wrong with an entry, or nothing."""
    if not isinstance(entry, dict):
        return f"is {_name(entry)}, not an object with image_id, category_id, bbox and score"
    for key in ("image_id", "category_id", "bbox", "score"):
        if key not in entry:
            return f"has no {key!r}"
    for key in ("image_id", "category_id"):
        value = entry[key]
        if not _finite(value) or value != int(value) or abs(value) > 2**53:  # beyond it floats skip numbers
            return f"has the {key} {reprlib.repr(value)}, which is not a whole number (up to 2^53)"
    box, score = entry["bbox"], entry["score"]
    if not isinstance(box, list) or len(box) != 4 or not all(_finite(value) for value in box):
        return f"has the bbox {reprlib.repr(box)}, which is not four finite numbers x, y, width, height"
    if box[2] < 0 or box[3] < 0:
        return f"has the bbox {reprlib.repr(box)}, with a negative side: boxes are x, y, width, height"
    if not _finite(score):
        return f"has the score {reprlib.repr(score)}, which is not a finite number"
    return ""


def _finite(value: Any) -> bool:
    """A number that float32 can hold: not true or false, not NaN."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e38


def _name(value: Any) -> str:
    return "a JSON object" if value is _PACKED else _NAMES.get(type(value), "a number")


def _load(path: Path, object_hook: Any = None) -> Any:
    try:
        with path.open(encoding="utf-8-sig") as file:
            return json.load(file, object_hook=object_hook)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not a JSON file: it is not UTF-8 text.") from error
    except json.JSONDecodeError as error:
        raise InputError(f"{path} is not a JSON file: {error.msg} in line {error.lineno}.") from error
    except (RecursionError, ValueError) as error:  # nested too deeply, or a number of too many digits
        raise InputError(f"{path} is not a JSON file that can be read: {error}.") from error


def _read_images(path: Path) -> dict[int, tuple[tuple[int, int], str | None]]:
    """The table beside the results: image id -> size and file name; empty where there is no table."""
    if not path.exists():
        return {}
    document = _load(path)
    rows = {}
    try:
        if not isinstance(document, list):
            raise TypeError
        for row in document:
            name = row["file_name"]
            if not isinstance(name, str | None):
                raise TypeError
            rows[int(row["id"])] = ((int(row["height"]), int(row["width"])), name)
    except (TypeError, KeyError, ValueError, OverflowError) as error:
        raise InputError(
            f'{path}: image {len(rows) + 1} is not {{"id", "file_name", "width", "height"}}: '
            "correct it, or delete the file to go without sizes and names."
        ) from error
    return rows
