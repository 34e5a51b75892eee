"""COCO JSON: ``images``, ``annotations`` with ``bbox`` [x, y, width, height] in pixels, ``categories``.

Kept: ``iscrowd`` and ``ignore`` become ``Record.ignore``; ``area`` (the mask's) is what size splits go by.
"""

from __future__ import annotations

import mmap
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from objectness.datasets import box_validity
from objectness.datasets.locating import Boundary, Locator, home_of, is_annotation_folder
from objectness.datasets.record_builder import ClassNames, Row, build_record
from objectness.datasets.records import Dataset, Problem, Record
from objectness.datasets.spelling import read_flag, read_number, read_side
from objectness.datasets.splits import ALL, in_order, split_of
from objectness.errors import InputError
from objectness.files.untrusted import load_json, regular_file
from objectness.image_spelling import number_of

_LARGEST_ID = 2**63
_OTHER_TASKS = ("captions", "image_info", "panoptic", "person_keypoints", "stuff")


@dataclass(frozen=True)
class CocoFiles:
    """The annotation files of one data set.

    Attributes:
        root: The folder or file that was named.
        files: Split -> JSON; ``all`` where the name does not say a split.
        doubles: Split -> another file that claims to be it.
        boundary: How far their names may lead.
    """

    root: Path
    files: Mapping[str, Path]
    doubles: Mapping[str, Path]
    boundary: Boundary

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that have a file."""
        return in_order(self.files)


def find(root: Path, allow_outside: bool = False) -> CocoFiles | None:
    """Look for COCO files: in the folder itself, in ``annotations/``, or one in each split's folder."""
    inner = (child for child in root.iterdir() if child.is_dir())
    folders = [root, *sorted(child for child in inner if _may_hold_annotations(child))]
    candidates = [path for folder in folders for path in sorted(folder.glob("*.json")) if path.is_file()]
    named = [path for path in candidates if path.stem.startswith("instances") or path.stem.endswith(".coco")]
    others = [path for path in candidates if not path.stem.startswith(_OTHER_TASKS)]
    found: dict[str, Path] = {}
    doubles: dict[str, Path] = {}
    for path in next((some for group in (named, others, candidates) if (some := _coco_among(group))), []):
        split = _split_of_file(path, root)
        (doubles if split in found else found).setdefault(split, path)
    return CocoFiles(root, found, doubles, Boundary(home_of(root), allow_outside)) if found else None


def of_file(path: Path, allow_outside: bool = False) -> CocoFiles:
    """One COCO file as a data set: its folder is the file's own, or that above ``annotations/``."""
    return CocoFiles(path, {ALL: path}, {}, Boundary(home_of(path), allow_outside))


def read(source: CocoFiles, split: str | None) -> Dataset:
    """Read one split, or everything.

    Raises:
        InputError: it is not clear which file is meant; see also :func:`read_file`.
    """
    _refuse_doubles(source, split)
    if split is not None:
        return replace(read_file(source.files[split], source.boundary, split), root=source.root)
    parts = [
        read_file(source.files[name], source.boundary, name) for name in (*source.splits, ALL) if name in source.files
    ]
    return _merged(source.root, parts)


def _refuse_doubles(source: CocoFiles, split: str | None) -> None:
    """Two files for what was asked for: say which, and what can be read without choosing."""
    asked = source.doubles if split is None else [name for name in source.doubles if name == split]
    clear = [name for name in source.splits if name not in source.doubles]
    others = f", or ask for the split {' or '.join(clear)} alone" if clear else ""
    for name in asked:
        what = "whole data set" if name == ALL else f"split {name!r}"
        pair = f"{source.files[name]} and {source.doubles[name]}"
        raise InputError(f"{source.root} has two COCO files for the {what}, {pair}: give one of the two files{others}.")
    if split is None and ALL in source.files and len(source.files) > 1:
        raise InputError(
            f"{source.root} has COCO files for {', '.join(source.splits)} and another, {source.files[ALL]}, "
            f"whose name does not say train, val or test: give one of the files{others}."
        )


def read_file(path: Path, boundary: Boundary, split: str = ALL) -> Dataset:
    """Read one COCO JSON file.

    Raises:
        InputError: it is not JSON, or not COCO ground truth; it names images that the boundary does not admit.
    """
    document = _parse(path)
    images, annotations = document["images"], document["annotations"]
    problems: list[Problem] = []
    classes, has_names = _class_names(document.get("categories"))

    entries: dict[int | str, Mapping[str, Any]] = {}
    seen_names: dict[str, int | str] = {}
    for number, entry in enumerate(images, start=1):
        key, name = _key(entry.get("id") if isinstance(entry, dict) else None), _image_name(entry)
        if key is None or name is None:
            problems.append(_malformed(path, f"image entry {number} has no usable 'id' and 'file_name'"))
        elif key in entries:
            first = _image_name(entries[key])
            detail = f"image id {key} stands for {first} and for {name}; the second is left out"
            problems.append(Problem(box_validity.DUPLICATE_ID, str(path), detail))
        else:
            if name in seen_names:
                detail = f"{name} is listed twice, as image {seen_names[name]} and as image {key}"
                problems.append(Problem(box_validity.DUPLICATE_NAME, str(path), detail))
            entries[key] = entry
            seen_names[name] = key
            if _declared_size(entry) is None and (entry.get("height") or entry.get("width")):
                said = f"{_short(entry.get('width'))} x {_short(entry.get('height'))}"
                problems.append(_malformed(path, f"image {_short(key)} has the size {said}, which no image has"))

    rows: dict[int | str, list[Row]] = defaultdict(list)
    spelled = _by_number(entries)
    outlined = 0
    for number, entry in enumerate(annotations, start=1):
        label = f"annotation {number}" + (
            f" (id {_short(entry['id'])})" if isinstance(entry, dict) and "id" in entry else ""
        )
        box = _box(entry)
        if box is None and (box := _around_outlines(entry)) is not None:
            outlined += 1
        if box is None:
            problems.append(_malformed(path, f"{label} has no 'bbox' of four numbers"))
            continue
        image, category = _key(entry.get("image_id")), _key(entry.get("category_id"))
        if image is not None and image not in entries:
            image = spelled.get(number_of(image))
        if image is None:
            detail = f"{label} is for image {_short(entry.get('image_id'))}, which is not listed"
            problems.append(Problem(box_validity.UNKNOWN_IMAGE, str(path), detail))
            continue
        if has_names and category not in classes:
            shown = _short(entry.get("category_id", "(none)"))
            detail = f"{label} has category_id {shown}, which 'categories' does not list"
            problems.append(Problem(box_validity.UNKNOWN_CLASS, str(path), detail))
        class_id = classes.add(category, "unknown" if category is None else f"class {category}")
        marks = {name: read_flag(entry.get(name)) for name in ("iscrowd", "ignore", "difficult")}
        problems.extend(
            _malformed(path, f"{label} has {name} {_short(entry[name])}, taken for 0 as it is no flag")
            for name, mark in marks.items()
            if mark is None
        )
        crowd, ignore, difficult = (bool(mark) for mark in marks.values())
        rows[image].append(Row(box, class_id, crowd or ignore, read_number(entry.get("area")), crowd, difficult))

    problems.extend(_alike(path, entries))
    locate = Locator(path, _folders(path, split), boundary)
    are_numbers = all(isinstance(key, int) and abs(key) < _LARGEST_ID for key in entries)
    records = [
        build_record(
            key if are_numbers and isinstance(key, int) else number,
            locate(str(_image_name(entry))),
            _declared_size(entry),
            rows.get(key, ()),
            None if are_numbers else key,
        )
        for number, (key, entry) in enumerate(entries.items(), start=1)
    ]
    notes = locate.note()
    if outlined:
        notes += (f"{path}: {outlined} annotations have no 'bbox': the boxes around their outlines were taken.",)
    return Dataset(path, "coco", split, classes.names, tuple(records), tuple(problems), notes)


def _coco_among(paths: Iterable[Path]) -> list[Path]:
    return [path for path in paths if _looks_like_coco(path)]


def _may_hold_annotations(folder: Path) -> bool:
    return is_annotation_folder(folder) or split_of(folder.name) is not None


def _split_of_file(path: Path, root: Path) -> str:
    """Split by the file's own name, else by its folder's (``valid/_annotations.coco.json``)."""
    own = split_of(path.stem)
    return own or (split_of(path.parent.name) if path.parent != root else None) or ALL


def _looks_like_coco(path: Path) -> bool:
    """Whether the file is an object that mentions both keys: quicker than parsing hundreds of megabytes."""
    try:
        with regular_file(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            starts_as_object = text[:64].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")
            return starts_as_object and text.find(b'"images"') >= 0 and text.find(b'"annotations"') >= 0
    except (OSError, ValueError):  # a pipe; an empty file cannot be mapped
        return False


def _parse(path: Path) -> Mapping[str, Any]:
    document = load_json(path)
    if isinstance(document, list):
        raise InputError(
            f"{path} holds a list, as COCO results (proposals) do: ground truth is an object with "
            "'images' and 'annotations'."
        )
    missing = [
        repr(key)
        for key in ("images", "annotations")
        if not isinstance(document, dict) or not isinstance(document.get(key), list)
    ]
    if missing:
        raise InputError(f"{path} is not COCO ground truth: it has no list {' and no list '.join(missing)}.")
    checked: Mapping[str, Any] = document
    return checked


def _class_names(categories: object) -> tuple[ClassNames, bool]:
    listed = [
        (key, str(entry.get("name", f"class {key}")))
        for entry in (categories if isinstance(categories, list) else [])
        if isinstance(entry, dict) and (key := _key(entry.get("id"))) is not None
    ]
    return ClassNames(listed), bool(listed)


def _key(value: object) -> int | str | None:
    """An id as written; some tools write 25.0 for 25."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return value if isinstance(value, int | str) and not isinstance(value, bool) else None


def _by_number(keys: Iterable[int | str]) -> dict[int | None, int | str]:
    """Ids by the number that they are or spell, where only one does: annotations may say "7" for the image 7."""
    found: dict[int | None, list[int | str]] = defaultdict(list)
    for key in keys:
        found[number_of(key)].append(key)
    return {number: same[0] for number, same in found.items() if number is not None and len(same) == 1}


def _alike(path: Path, keys: Iterable[int | str]) -> list[Problem]:
    """Ids that only their spelling tells apart: 1 and "1" are two images here and one for other readers."""
    found: dict[int | None, list[int | str]] = defaultdict(list)
    for key in keys:
        found[number_of(key)].append(key)
    return [
        Problem(
            box_validity.DUPLICATE_ID, str(path), f"image ids {_short(same[0])} and {_short(same[1])} are one number"
        )
        for number, same in found.items()
        if number is not None and len(same) > 1
    ]


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _image_name(entry: object) -> str | None:
    """The file's name; LVIS gives only the address it came from."""
    if not isinstance(entry, dict):
        return None
    name, address = entry.get("file_name"), entry.get("coco_url")
    if isinstance(name, str) and name:
        return name
    return PurePosixPath(address).name if isinstance(address, str) and address else None


def _declared_size(entry: Mapping[str, Any]) -> tuple[int, int] | None:
    height, width = read_side(entry.get("height")), read_side(entry.get("width"))
    return None if height is None or width is None else (height, width)


def _box(entry: object) -> tuple[float, float, float, float] | None:
    listed = entry.get("bbox") if isinstance(entry, dict) else None
    if not isinstance(listed, list) or len(listed) != 4 or any(isinstance(value, str) for value in listed):
        return None
    x, y, width, height = (read_number(value) for value in listed)
    if x is None or y is None or width is None or height is None:
        return None
    return x, y, x + width, y + height


def _around_outlines(entry: object) -> tuple[float, float, float, float] | None:
    """The box around the polygons of an annotation without one; None for masks, which would have to be drawn."""
    if not isinstance(entry, dict) or entry.get("bbox"):
        return None
    polygons = entry.get("segmentation")
    if not isinstance(polygons, list) or not all(
        isinstance(polygon, list) and len(polygon) >= 6 and len(polygon) % 2 == 0 for polygon in polygons
    ):
        return None
    xs = [read_number(x) for polygon in polygons for x in polygon[::2]]
    ys = [read_number(y) for polygon in polygons for y in polygon[1::2]]
    known_xs, known_ys = [x for x in xs if x is not None], [y for y in ys if y is not None]
    if not xs or len(known_xs) < len(xs) or len(known_ys) < len(ys):
        return None
    return min(known_xs), min(known_ys), max(known_xs), max(known_ys)


def _malformed(path: Path, detail: str) -> Problem:
    return Problem(box_validity.MALFORMED, str(path), detail)


def _folders(annotation: Path, split: str) -> list[Path]:
    """Where the images of one JSON file may lie: the usual folders."""
    words = dict.fromkeys([annotation.stem.rpartition("_")[2], split, "valid" if split == "val" else split])
    own = annotation.parent
    bases = [own, own.parent] if is_annotation_folder(own) else [own]
    return [
        folder
        for base in bases
        for folder in (
            *(base / word for word in words),
            *(base / "images" / word for word in words),
            base / "images",
            base / "data",
            base,
        )
        if folder.is_dir()
    ]


def _merged(root: Path, parts: Iterable[Dataset]) -> Dataset:
    """Several files as one data set: classes by name, each image once, new ids where two files share one."""
    names: dict[str, int] = {}
    records: list[Record] = []
    problems: list[Problem] = []
    notes: list[str] = []
    seen: set[Path] = set()
    for part in parts:
        position = np.array([names.setdefault(name, len(names)) for name in part.class_names], dtype=np.int64)
        fresh = [record for record in part.records if record.path not in seen]
        records.extend(replace(record, class_ids=position[record.class_ids]) for record in fresh)
        seen.update(record.path for record in fresh)
        problems.extend(part.problems)
        notes.extend(part.notes)
    if len({record.image_id for record in records}) < len(records):
        records = [
            replace(record, image_id=number, given_id=record.own_id) for number, record in enumerate(records, start=1)
        ]
    return Dataset(root, "coco", ALL, tuple(names), tuple(records), tuple(problems), tuple(notes))
