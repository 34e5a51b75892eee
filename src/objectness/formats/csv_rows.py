"""CSV: one row a proposal, a header first; there is no standard, so the headers of other tools are read as well.

Written: ``image_id,path,width,height,x_min,y_min,x_max,y_max,score,rank``, then ``logit`` and ``level`` where
they are known, ``class_id`` (from 0) and ``class_name`` where boxes have classes, and beside it a table of the images
(``proposals.images.csv``), so that those without proposals are not lost. Read as well: supervision's CSVSink,
DeepForest, keras-retinanet with a header, OpenImages (fractions of the image), with any separator and with decimal
commas. A row with empty corners stands for an image without boxes.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from objectness.errors import InputError
from objectness.files import json_values
from objectness.files.atomic_write import replacing
from objectness.formats.core.classes import Labels, names_of, positions_of
from objectness.formats.core.csv_dialect import Sheet, first_row, in_words, read_sheet, with_points
from objectness.formats.core.missing_context import unknown_size
from objectness.formats.core.parsed import FileBuilder, ParsedFile
from objectness.formats.core.sniffing import Content, FileHead, Signature
from objectness.formats.core.spec import Capabilities, FileNames, Format, Ids
from objectness.image_index import ImageIndex
from objectness.image_spelling import number_of
from objectness.proposal_set import ImageId, ProposalSet
from objectness.proposals import Proposals, images_path

_HEADER = ("image_id", "path", "width", "height", "x_min", "y_min", "x_max", "y_max", "score", "rank")
_IMAGE_HEADER = ("image_id", "path", "width", "height")
_CORNERS = ("x_min", "y_min", "x_max", "y_max")
_NUMBERS = (*_CORNERS, "width", "height", "score", "logit", "level")
_CLASS_COLUMNS = ("class_id", "class_name")
_USED = (*_NUMBERS, *_CLASS_COLUMNS, "image_id", "path")
# Names of our columns in other tools, in lower case.
_ALIASES = {
    "imageid": "path",  # OpenImages: the file's name without its suffix
    "image_path": "path",
    "image": "path",
    "file_name": "path",
    "filename": "path",
    "file": "path",
    "class": "class_name",
    "label": "class_name",
    "labelname": "class_name",  # OpenImages
    "category": "class_name",
    "confidence": "score",
    "xmin": "x_min",
    "ymin": "y_min",
    "xmax": "x_max",
    "ymax": "y_max",
    "x1": "x_min",
    "y1": "y_min",
    "x2": "x_max",
    "y2": "y_max",
}


def parse(path: Path, image_index: ImageIndex | None = None) -> ParsedFile:
    """Read rows of any of these kinds; tracks are dropped.

    Raises:
        InputError: there is no such header, or a row has no four numbers; fractions of images of unknown size.
    """
    beside, builder = images_path(path), FileBuilder(path)
    sheet = read_sheet(path, _known_words)
    names, is_relative = _columns(path, sheet.header)
    missing = [corner for corner in _CORNERS if corner not in names]
    if missing:
        raise InputError(f"{path} has no column {missing[0]}: its first line must name {', '.join(_CORNERS)}.")
    columns, notes = _by_column(path, sheet, names)
    listed = _images(beside) if beside.is_file() else []
    table = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    as_numbers = all(map(_is_whole, {row.get("image_id", "") for row in (*table, *listed)} - {""}))
    for row in listed:
        image_id = _image_id(row, as_numbers)
        builder.image(image_id, image_id, row.get("path") or None, _size(row))
    for number, row in enumerate(table, start=1):
        image_id, name = _image_id(row, as_numbers), row.get("path") or None
        key: Any = image_id if image_id is not None else ("name", name)
        size = _size(row) or (
            image_index.size_of(name or str(image_id)) if image_index and (name or image_id) else None
        )
        rows = builder.image(key, image_id, name, size)
        if not any(row[corner] for corner in _CORNERS):
            continue  # other tools write an image without boxes so
        corners = [_number(row.get(corner)) for corner in _CORNERS]
        if any(corner is None for corner in corners):
            raise InputError(f"{path}: row {number} has no four numbers {', '.join(_CORNERS)}.")
        box = [corner for corner in corners if corner is not None]
        if is_relative:
            if rows.size_hw is None:
                raise unknown_size(path, name or image_id, image_index)
            height, width = rows.size_hw
            box = [value * side for value, side in zip(box, (width, height, width, height), strict=True)]
        score = _number(row.get("score"))
        if score is None and row.get("score"):
            raise InputError(
                f"{path}: row {number} has the score {json_values.shown(row['score'])}, which is no number."
            )
        label = _class_number(builder, row)
        rows.add(box, score, number, _number(row.get("logit")), _number(row.get("level")), label)
    return builder.finish("row", notes=notes)


def write(path: Path, proposals: ProposalSet, labels: Labels | None = None) -> None:
    """Write the rows, and the table of the images beside them."""
    more = [name for name, column in (("logit", proposals.logits), ("level", proposals.levels)) if column]
    more += _CLASS_COLUMNS if labels is not None else ()
    # Without quotes the writer leaves a carriage return bare, which the reader takes for the end of a row.
    has_returns = any("\r" in f"{image_id}{found.source}" for image_id, found in proposals.items())
    quoting: Literal[0, 1] = csv.QUOTE_ALL if has_returns else csv.QUOTE_MINIMAL
    with replacing(path, newline="") as file:
        writer = csv.writer(file, lineterminator="\n", quoting=quoting)
        writer.writerow([*_HEADER, *more])
        for image_id, found in proposals.items():
            writer.writerows(_lines(proposals, image_id, found, more, labels))
    with replacing(images_path(path), newline="") as file:
        writer = csv.writer(file, lineterminator="\n", quoting=quoting)
        writer.writerow(_IMAGE_HEADER)
        writer.writerows(_image(image_id, found) for image_id, found in proposals.items())


def _names_corners(head: FileHead) -> bool:
    """Whether the first line names four corners."""
    return set(_CORNERS) <= set(_names(first_row(head.head, _known_words)))


def _names(header: Sequence[str]) -> list[str]:
    """Our names of the columns."""
    words = [word.strip().strip('"').lower() for word in header]
    return [_ALIASES.get(word, word) for word in words]


def _known_words(header: Sequence[str]) -> int:
    return len({*_CORNERS, *_IMAGE_HEADER} & {*_names(header)})


def _columns(path: Path, header: Sequence[str]) -> tuple[list[str], bool]:
    """Our names of the columns, and whether the boxes are fractions (OpenImages)."""
    names = _names(header)
    for name in _NUMBERS:
        if names.count(name) > 1:
            raise InputError(f"{path} has {names.count(name)} columns for {name}: keep one of them.")
    return names, {"ImageID", "XMin", "YMax"} <= {word.strip().strip('"') for word in header}


def _by_column(path: Path, sheet: Sheet, names: Sequence[str]) -> tuple[dict[str, list[str]], list[str]]:
    """Name -> cells of the columns that are used, with decimal points; and notes."""
    needed = 1 + max((names.index(corner) for corner in _CORNERS if corner in names), default=0)
    for number, row in enumerate(sheet.rows, start=1):
        if any(row[len(names) :]) or len(row) < needed:
            raise InputError(f"{path}: row {number} has {len(row)} values, but the first line names {len(names)}.")
    wanted = {name: names.index(name) for name in dict.fromkeys(names) if name in _USED}
    columns = {name: [row[index] if index < len(row) else "" for row in sheet.rows] for name, index in wanted.items()}
    had_commas = with_points(
        path, {name: cells for name, cells in columns.items() if name in _NUMBERS}, sheet.separator
    )
    if had_commas and "image_id" in columns:  # 2,0 is how a column with gaps writes 2
        columns["image_id"] = [re.sub(r"^(-?\d+),(0+)$", r"\1.\2", cell) for cell in columns["image_id"]]
    if sheet.separator == ",":
        return columns, []
    commas = " and decimal commas" if had_commas else ""
    return columns, [f"{path.name} is read with {in_words(sheet.separator)} between its values{commas}"]


def _images(path: Path) -> list[dict[str, str]]:
    sheet = read_sheet(path, _known_words)
    names, _ = _columns(path, sheet.header)
    if "image_id" not in names:
        raise InputError(f"{path} has no column image_id: correct it, or delete the file to go without it.")
    columns, _ = _by_column(path, sheet, names)
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _lines(
    proposals: ProposalSet, image_id: ImageId, found: Proposals, more: Sequence[str], labels: Labels | None
) -> Iterator[list[Any]]:
    head = _image(image_id, found)
    extra: dict[str, Any] = {"logit": proposals.logits.get(image_id), "level": proposals.levels.get(image_id)}
    extra["class_id"] = positions_of(labels, image_id, len(found))
    extra["class_name"] = names_of(labels, image_id, len(found))
    for index, (corners, score) in enumerate(zip(found.boxes_xyxy.tolist(), found.scores.tolist(), strict=True)):
        columns = [extra[name] for name in more]
        rest = ["" if values is None else _cell(values[index]) for values in columns]
        yield [*head, *(f"{value:.9g}" for value in corners), f"{score:.9g}", index + 1, *rest]


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:.9g}"


def _class_number(builder: FileBuilder, row: Mapping[str, str]) -> int:
    """The class of a row by its name, else by its number, which is a position in a list that the file does not have."""
    name, position = row.get("class_name") or None, number_of(row.get("class_id") or "")
    return builder.class_number(name, position=position)


def _image(image_id: ImageId, found: Proposals) -> list[Any]:
    height, width = found.size_hw
    size = [width, height] if min(found.size_hw) > 0 else ["", ""]
    return [image_id, found.source or "", *size]


def _is_whole(text: str) -> bool:
    """Whether text is a whole number as we or a table with gaps ("2.0") would write it: "007" is a name."""
    return number_of(text) is not None and str(number_of(text)) == text.partition(".")[0]


def _image_id(row: Mapping[str, str], as_number: bool) -> ImageId | None:
    text = row.get("image_id") or None
    return number_of(text) if text is not None and as_number else text


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None


def _size(row: Mapping[str, str]) -> tuple[int, int] | None:
    return json_values.size_hw({side: _number(row.get(side)) for side in ("height", "width")})


FORMAT = Format(
    name="csv",
    title="CSV",
    suffixes=(".csv",),
    holds=Capabilities(ids=Ids.ANY, names=FileNames.PATH, sizes=True, empty=True, logits=True, levels=True),
    consumers="spreadsheets, pandas, R; the columns are those of supervision's CSVSink with score for confidence",
    signatures=(Signature(Content.OTHER, check=_names_corners),),
    parse=parse,
    write=write,
    write_labelled=write,
    has_image_table=True,
)
