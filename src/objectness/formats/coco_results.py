"""COCO results: the JSON list that pycocotools and most detection tools read.

One entry a proposal: ``{"image_id", "category_id": 1, "bbox": [x, y, width, height], "score"}``, pixels of
the upright photograph. The list itself can name no file and no image without proposals, so a table of the
images lies beside it: ``proposals.json`` has ``proposals.images.json``, a list of ``{"id", "file_name",
"width", "height"}``.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from objectness.errors import InputError
from objectness.files import json_values
from objectness.files.atomic_write import replacing
from objectness.files.json_values import kind, load, shown, write_list
from objectness.formats.core.coco_entries import entry_lines, image_row, images_path
from objectness.formats.core.known_images import KnownImages, finished
from objectness.formats.core.parsed import RawFile, raw_image
from objectness.formats.core.sniffing import Peek, present
from objectness.formats.core.spec import Format, Holds, Kind, Rule
from objectness.proposal_set import ProposalSet
from objectness.proposals import Proposals

_NUMBERS = frozenset({int, float})
_COLUMNS = 7  # of a packed entry: number of its image, category_id, x, y, width, height, score


def write(path: Path | str, proposals: Mapping[Any, Proposals], *, images: bool = True) -> None:
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
        write_list(file, (line for image_id, found in proposals.items() for line in entry_lines(image_id, found)))
    if images:
        with replacing(images_path(path)) as file:
            write_list(file, (json.dumps(image_row(image_id, found)) for image_id, found in proposals.items()))
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
    packed = _Packing()
    document = load(path, packed.take)
    if not isinstance(document, list):
        what = "a JSON object" if document is _PACKED else kind(document)
        raise InputError(
            f"{path} holds {what}, but COCO results are a list of "
            '{"image_id", "category_id", "bbox", "score"}: give the results file, not the annotations.'
        )
    for number, entry in enumerate(document, start=1):
        if entry is not _PACKED:
            raise InputError(f"{path}: entry {number} {_fault(entry)}.")
    if packed.conflict:
        image_id, one, other = packed.conflict
        raise InputError(f"{path}: image {image_id} is called {one} and {other}: give each image an id of its own.")
    columns = packed.columns
    if len(columns) != _COLUMNS * len(document):
        raise InputError(f"{path}: an entry holds another entry inside: COCO results are a flat list.")
    table = np.frombuffer(columns, dtype=np.float64).reshape(-1, _COLUMNS) if columns else np.empty((0, _COLUMNS))
    order = np.lexsort((table[:, 1], table[:, 0]))  # by image, then category, then place
    table = table[order]
    numbers, starts = np.unique(table[:, 0], return_index=True)
    rows = np.full((len(table), 9), np.nan)
    with np.errstate(invalid="ignore"):  # infinite corners: validate names them
        rows[:, :4] = np.concatenate([table[:, 2:4], table[:, 2:4] + table[:, 4:6]], axis=1)
    rows[:, 4], rows[:, 5], rows[:, 8] = table[:, 6], 1, order + 1
    ids = list(packed.images)
    present = [ids[int(number)] for number in numbers]
    parts = dict(zip(present, np.split(rows, starts[1:]), strict=True)) if present else {}
    beside = _read_images(images_path(path))
    for image_id in sorted(parts, key=lambda image_id: (isinstance(image_id, str), image_id)):
        beside.setdefault(image_id, (None, packed.names.get(image_id)))
    images = [
        raw_image(image_id, name or packed.names.get(image_id), size_hw, parts.get(image_id, np.empty((0, 9))))
        for image_id, (size_hw, name) in beside.items()
    ]
    return RawFile(tuple(images), "entry")


def recognise(peek: Peek) -> bool:
    """A list of objects with these keys, or an empty list: nothing was found, in the commonest format."""
    opening, keys = peek.json_shape
    if opening == "[":
        return peek.head.split() in ([b"[]"], [b"[", b"]"])
    return opening == "[{" and {"image_id", "bbox", "score"} <= keys


class _Packed:
    """Stands in the parsed list for an entry that was right."""


_PACKED = _Packed()


class _Packing:
    """Takes the right entries out of a document while it is parsed: a list of dicts would take ten times the memory.

    Attributes:
        columns: Seven numbers an entry.
        images: Image id -> its number, from 0, as the ids turn up; 1 and "1" are two.
        names: Image id -> the file that an entry names beside it.
        conflict: An id with the two names that entries give it.
    """

    def __init__(self) -> None:
        self.columns = array("d")
        self.images: dict[int | str, int] = {}
        self.names: dict[int | str, str] = {}
        self.conflict: tuple[int | str, str, str] | None = None

    def take(self, entry: dict[str, Any]) -> _Packed | dict[str, Any]:
        """Move a right entry into the columns; leave every other object (a mask, say) as it is."""
        if _is_plain(entry):
            image_id: int | str = entry["image_id"]
            values = (entry["category_id"], *entry["bbox"], entry["score"])
        elif _fault(entry):
            return entry
        else:
            image_id = json_values.image_id(entry["image_id"]) or 0
            values = (entry["category_id"], *entry["bbox"], entry["score"])
            values = tuple(json_values.number(value) or 0.0 for value in values)
        self.columns.extend((self.images.setdefault(image_id, len(self.images)), *values))
        name = entry.get("file_name")
        if name and isinstance(name, str) and self.names.setdefault(image_id, name) != name:
            self.conflict = self.conflict or (image_id, self.names[image_id], name)
        return _PACKED


def _is_plain(entry: dict[str, Any]) -> bool:
    """Whether an entry is right beyond doubt, as nearly all are: ``_fault`` takes several times as long to say so."""
    try:
        (x, y, width, height), score = entry["bbox"], entry["score"]
        return (
            type(entry["image_id"]) is int is type(entry["category_id"])
            and type(entry["bbox"]) is list
            and {type(x), type(y), type(width), type(height), type(score)} <= _NUMBERS
            and abs(entry["image_id"]) < 2**63
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
    if json_values.image_id(entry["image_id"]) is None:
        return f"has the image_id {shown(entry['image_id'])}, which is no whole number and no text"
    if not isinstance(json_values.image_id(entry["category_id"]), int):
        return f"has the category_id {shown(entry['category_id'])}, which is not a whole number"
    if json_values.numbers(entry["bbox"], 4) is None:
        return f"has the bbox {shown(entry['bbox'])}, which is not four finite numbers x, y, width, height"
    if json_values.number(entry["score"]) is None:
        return f"has the score {shown(entry['score'])}, which is not a finite number"
    return ""


def _read_images(path: Path) -> dict[int | str, tuple[tuple[int, int] | None, str | None]]:
    """The table beside the results: image id -> size and file name; empty where there is no table."""
    if not path.is_file():
        return {}
    document = load(path)
    rows: dict[int | str, tuple[tuple[int, int] | None, str | None]] = {}
    for position, row in enumerate(document if isinstance(document, list) else [None], start=1):
        image_id = json_values.image_id(row.get("id")) if isinstance(row, dict) else None
        if not (
            image_id is not None
            and isinstance(row.get("file_name", 0), str | None)
            and all(_is_side(row.get(side)) for side in ("width", "height"))
        ):
            raise InputError(
                f'{path}: image {position} is not {{"id", "file_name", "width", "height"}}: '
                "correct it, or delete the file to go without sizes and names."
            )
        if image_id in rows:
            raise InputError(f"{path}: image {position} has the id {image_id}, as another has: number them anew.")
        rows[image_id] = (json_values.size_hw(row), row["file_name"])
    return rows


def _is_side(value: Any) -> bool:
    """A side of an image, or the 0 of one that is unknown."""
    return json_values.number(value) is not None or json_values.side(value) is not None


FORMAT = Format(
    name="coco-results",
    title="COCO results",
    suffixes=(".json",),
    holds=Holds(ids="any", names="path", sizes=True, empty=True, precision="boxes to 0.01 pixel, scores to six digits"),
    consumers="pycocotools (loadRes), detectron2 and mmdetection evaluators, FiftyOne (add_coco_labels)",
    recognise=recognise,
    parse=parse,
    write=write,
    has_image_table=True,
    rules={
        Kind.OTHER_ID: Rule("pycocotools", "gives its boxes to the image of that id, or stops (loadRes)"),
        Kind.UNKNOWN_IMAGE: Rule("pycocotools", "stops: results do not correspond to the ground truth (loadRes)"),
        Kind.MISSING_IMAGE: Rule("pycocotools", "counts the image's objects as missed", breaks=False),
        Kind.UNSORTED: Rule("pycocotools", "sorts by score itself", breaks=False),
        Kind.NO_SCORE: Rule("pycocotools", "raises KeyError: 'score'"),
    },
    strict_ids=True,
)
