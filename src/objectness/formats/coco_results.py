"""COCO results: the JSON list that pycocotools and most detection tools read.

One entry a proposal: ``{"image_id", "category_id": 1, "bbox": [x, y, width, height], "score"}``, pixels of
the upright photograph. The list itself can name no file and no image without proposals, so a table of the
images lies beside it: ``proposals.json`` has ``proposals.images.json``, a list of ``{"id", "file_name",
"width", "height"}``. Detections have a second table, ``detections.categories.json``: a list of ``{"id", "name"}``.
"""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from objectness.errors import InputError
from objectness.files import json_values
from objectness.files.atomic_write import replacing
from objectness.files.json_values import LARGEST_ID, kind, load, shown, write_list
from objectness.files.untrusted import parse_json, read_bytes
from objectness.formats.coco_journal import category_rows, entry_lines, image_row
from objectness.formats.core.classes import FileClass, Labels, category_ids_of
from objectness.formats.core.parsed import COLUMNS, ParsedFile, parsed_image
from objectness.formats.core.sniffing import Content, Signature
from objectness.formats.core.spec import Capabilities, Fault, FileNames, Format, Ids, Reaction
from objectness.proposal_set import ImageId
from objectness.proposals import Proposals, categories_path, images_path


def write(
    path: Path | str, proposals: Mapping[Any, Proposals], labels: Labels | None = None, *, images: bool = True
) -> None:
    """Write a COCO results file, and the table of its images beside it.

    Both files appear whole or not at all. Coordinates are rounded to 0.01 pixel, scores to six digits.

    Args:
        path: The ``.json`` file; its folder is made where it is missing.
        proposals: image id -> its proposals, best first.
        labels: Their classes; without them every box has category 1, and an older table of categories is removed.
        images: Write the table too; without it an older table at its place is removed, as it would be a wrong
            one.

    Raises:
        InputError: a box or a score that is not finite, or a place that cannot be written to.
    """
    path = Path(path)
    with replacing(path) as file:
        write_list(
            file,
            (
                line
                for image_id, found in proposals.items()
                for line in entry_lines(image_id, found, category_ids_of(labels, image_id, len(found)))
            ),
        )
    if labels is None:
        categories_path(path).unlink(missing_ok=True)
    else:
        with replacing(categories_path(path)) as file:
            write_list(file, map(json.dumps, category_rows(labels.names, labels.category_ids)))
    if images:
        with replacing(images_path(path)) as file:
            write_list(file, (json.dumps(image_row(image_id, found)) for image_id, found in proposals.items()))
    else:
        images_path(path).unlink(missing_ok=True)


def parse(path: Path, _: object = None) -> ParsedFile:
    """Read any COCO results file; names of the categories come from the table beside it, where there is one.

    The proposals of an image come best first; equal scores stay in the order of category and file, which is
    the order that pycocotools takes them in. The table of the images, where one lies beside the file, gives
    the sizes, the file names and the images without proposals; without it sizes are (0, 0).

    Raises:
        InputError: a file that is not such a list, with the number of the entry (from 1) and what is wrong
            with it.
    """
    table, ids, names = _read_entries(path)
    order = np.lexsort((table[:, 1], table[:, 0]))  # by image, then category, then place
    table = table[order]
    numbers, starts = np.unique(table[:, 0], return_index=True)
    rows = np.full((len(table), COLUMNS), np.nan)
    with np.errstate(invalid="ignore"):  # infinite corners: validate names them
        rows[:, :4] = np.concatenate([table[:, 2:4], table[:, 2:4] + table[:, 4:6]], axis=1)
    rows[:, 4], rows[:, 5], rows[:, 8] = table[:, 6], 1, order + 1
    names_of = _read_categories(categories_path(path))
    present_classes, rows[:, 9] = np.unique(table[:, 1], return_inverse=True)
    used = [int(category) for category in present_classes]
    unused = [category for category in names_of if category not in used]
    classes = tuple(FileClass(names_of.get(category), category) for category in (*used, *unused))
    present = [ids[int(number)] for number in numbers]
    by_image = dict(zip(present, np.split(rows, starts[1:]), strict=True)) if present else {}
    beside = _read_images(images_path(path))
    for image_id in sorted(by_image, key=lambda image_id: (isinstance(image_id, str), image_id)):
        beside.setdefault(image_id, (None, names.get(image_id)))
    images = [
        parsed_image(image_id, name or names.get(image_id), size_hw, by_image.get(image_id, np.empty((0, COLUMNS))))
        for image_id, (size_hw, name) in beside.items()
    ]
    return ParsedFile(tuple(images), "entry", classes=classes)


class _Entry(NamedTuple):
    """One entry."""

    image_id: ImageId
    category_id: float
    bbox: Sequence[float]
    score: float
    file_name: str | None


@cache
def _decoder() -> Any:
    import msgspec

    class Entry(msgspec.Struct, gc=False):
        image_id: int | str
        category_id: int
        bbox: tuple[float, float, float, float]
        score: float
        file_name: str | None = None

    return msgspec.json.Decoder(list[Entry])


def _read_entries(path: Path) -> tuple[NDArray[np.float64], list[ImageId], dict[ImageId, str]]:
    """Seven numbers an entry (number of its image, category, x, y, width, height, score), ids and file names.

    Decoded by msgspec, and by ``json`` where that fails, to accept NaN and 25.0 for 25 or to name the fault.
    """
    content = read_bytes(path, None).removeprefix(BOM_UTF8)
    try:
        table, ids, names = _columns(path, _decoder().decode(content))
        numbers = [image_id for image_id in ids if not isinstance(image_id, str)]
        if (np.abs(table[:, 1]) < LARGEST_ID).all() and all(abs(number) < LARGEST_ID for number in numbers):
            return table, ids, names
    except InputError:
        raise
    except (ValueError, ArithmeticError, RecursionError):  # msgspec's errors are ValueErrors
        pass
    return _columns(path, _checked(path, parse_json(content, str(path))))


def _columns(path: Path, entries: Sequence[_Entry]) -> tuple[NDArray[np.float64], list[ImageId], dict[ImageId, str]]:
    numbers: dict[ImageId, int] = {}  # 1 and "1" are two
    names: dict[ImageId, str] = {}
    count = len(entries)
    table = np.empty((count, 7))
    table[:, 0] = np.fromiter((numbers.setdefault(entry.image_id, len(numbers)) for entry in entries), float, count)
    table[:, 1] = np.fromiter((entry.category_id for entry in entries), float, count)
    table[:, 2:6] = np.fromiter((side for entry in entries for side in entry.bbox), float, 4 * count).reshape(-1, 4)
    table[:, 6] = np.fromiter((entry.score for entry in entries), float, count)
    for entry in entries:
        if entry.file_name and names.setdefault(entry.image_id, entry.file_name) != entry.file_name:
            raise InputError(
                f"{path}: image {entry.image_id} is called {names[entry.image_id]} and {entry.file_name}: "
                "give each image an id of its own."
            )
    return table, list(numbers), names


def _checked(path: Path, document: Any) -> list[_Entry]:
    """The entries of a document, each checked."""
    if not isinstance(document, list):
        raise InputError(
            f"{path} holds {kind(document)}, but COCO results are a list of "
            '{"image_id", "category_id", "bbox", "score"}: give the results file, not the annotations.'
        )
    entries = []
    for position, given in enumerate(document, start=1):
        fault = _fault(given)
        if fault:
            raise InputError(f"{path}: entry {position} {fault}.")
        image_id, category = json_values.image_id(given["image_id"]), json_values.number(given["category_id"])
        box, score = json_values.numbers(given["bbox"], 4), json_values.number(given["score"])
        assert image_id is not None and category is not None  # noqa: PT018
        assert box is not None and score is not None  # noqa: PT018
        entries.append(_Entry(image_id, category, box, score, json_values.text(given.get("file_name"))))
    return entries


def _fault(entry: Any) -> str:
    """The reason why nothing can be made of an entry, or nothing."""
    if not isinstance(entry, dict):
        return f"is {kind(entry)}, not an object with image_id, category_id, bbox and score"
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


def _read_categories(path: Path) -> dict[int, str]:
    """The table of the classes: category id -> name; empty where there is no table."""
    if not path.is_file():
        return {}
    document = load(path)
    names: dict[int, str] = {}
    for position, row in enumerate(document if isinstance(document, list) else [None], start=1):
        category = json_values.image_id(row.get("id")) if isinstance(row, dict) else None
        name = json_values.text(row.get("name")) if isinstance(row, dict) else None
        if not isinstance(category, int) or name is None or category in names:
            raise InputError(
                f'{path}: category {position} is not {{"id", "name"}} with an id of its own: '
                "correct it, or delete the file to go without names."
            )
        names[category] = name
    return names


def _is_side(value: Any) -> bool:
    """A side of an image, or the 0 of one that is unknown."""
    return json_values.number(value) is not None or json_values.side(value) is not None


FORMAT = Format(
    name="coco-results",
    title="COCO results",
    suffixes=(".json",),
    holds=Capabilities(
        ids=Ids.ANY, names=FileNames.PATH, sizes=True, empty=True, precision="boxes to 0.01 pixel, scores to six digits"
    ),
    consumers="pycocotools (loadRes), detectron2 and mmdetection evaluators, FiftyOne (add_coco_labels)",
    signatures=(
        Signature(Content.JSON, outermost=("[{",), keys=frozenset({"image_id", "bbox", "score"})),
        Signature(Content.JSON, outermost=("[]",)),  # nothing was found, in the commonest format
    ),
    parse=parse,
    write=write,
    write_labelled=write,
    has_category_table=True,
    has_image_table=True,
    shows_rounding=True,
    reactions={
        Fault.OTHER_ID: Reaction("pycocotools", "gives its boxes to the image of that id, or stops (loadRes)"),
        Fault.UNKNOWN_IMAGE: Reaction("pycocotools", "stops: results do not correspond to the ground truth (loadRes)"),
        Fault.MISSING_IMAGE: Reaction("pycocotools", "counts the image's objects as missed", breaks=False),
        Fault.UNSORTED: Reaction("pycocotools", "sorts by score itself", breaks=False),
        Fault.NO_SCORE: Reaction("pycocotools", "raises KeyError: 'score'"),
    },
    strict_ids=True,
)
