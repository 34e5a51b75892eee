"""COCO JSON: ``images``, ``annotations`` with ``bbox`` [x, y, width, height] in pixels, ``categories``.

Kept: ``iscrowd`` and ``ignore`` become ``Record.ignore``; ``area`` (the mask's) decides the size class.
"""

from __future__ import annotations

import mmap
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from objectness.datasets.coco_document import CocoImage, by_number, parse_coco
from objectness.datasets.path_lookup import Boundary, Locator, home_of, is_annotation_folder
from objectness.datasets.record_builder import ClassNames, Row, build_record
from objectness.datasets.records import Dataset, Problem, ProblemKind, Record
from objectness.datasets.splits import ALL, in_order, requested_split, split_of
from objectness.errors import InputError
from objectness.files.json_values import flag, shown, spelled
from objectness.files.untrusted import regular_file
from objectness.proposal_set import ImageId

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

    def read(self, split: str | None) -> Dataset:
        """Read one split, or everything.

        Raises:
            InputError: there is no such split, or two files for it; see also :func:`read_file`.
        """
        return _read(self, requested_split(split, self.splits, str(self.root)))


@dataclass(frozen=True)
class CocoFile:
    """One annotation file as a data set, whose folder is the file's own, or that above ``annotations/``.

    Attributes:
        path: The file.
        allow_outside: Its names may lead out of that folder.
    """

    path: Path
    allow_outside: bool = False
    splits: tuple[str, ...] = ()

    def read(self, split: str | None) -> Dataset:
        """Read the file; it has no splits, but its own name may be one ("instances_val.json").

        Raises:
            InputError: another split was requested; see also :func:`read_file`.
        """
        own = split_of(self.path.stem)
        chosen = requested_split(split, (own,) if own else (), str(self.path))
        return read_file(self.path, Boundary(home_of(self.path), self.allow_outside), chosen or ALL)


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


def _read(source: CocoFiles, split: str | None) -> Dataset:
    _refuse_doubles(source, split)
    if split is not None:
        return replace(read_file(source.files[split], source.boundary, split), root=source.root)
    names = (*source.splits, ALL)
    return _merged(
        source.root, [read_file(source.files[name], source.boundary, name) for name in names if name in source.files]
    )


def _refuse_doubles(source: CocoFiles, split: str | None) -> None:
    """Refuse two files for one split; the sentence names both, and the splits that are clear."""
    requested = source.doubles if split is None else [name for name in source.doubles if name == split]
    clear = [name for name in source.splits if name not in source.doubles]
    others = f", or ask for the split {' or '.join(clear)} alone" if clear else ""
    for name in requested:
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
    document = parse_coco(path)
    problems: list[Problem] = []
    listed = document.categories()
    classes = ClassNames(listed)
    images: dict[ImageId, CocoImage] = {}
    named: dict[str, ImageId] = {}
    for image in document.images():
        key, name = image.image_id, image.file_name
        if key is None or name is None:
            problems.append(_malformed(path, f"image entry {image.number} has no usable 'id' and 'file_name'"))
        elif key in images:
            detail = f"image id {key} stands for {images[key].file_name} and for {name}; the second is left out"
            problems.append(Problem(ProblemKind.DUPLICATE_ID, str(path), detail))
        else:
            if name in named:
                detail = f"{name} is listed twice, as image {named[name]} and as image {key}"
                problems.append(Problem(ProblemKind.DUPLICATE_NAME, str(path), detail))
            images[key] = image
            named[name] = key
            height, width = image.entry.get("height"), image.entry.get("width")
            if image.size_hw is None and (height or width):
                size = f"{shown(width)} x {shown(height)}"
                problems.append(_malformed(path, f"image {shown(key)} has the size {size}, which no image has"))

    rows: dict[ImageId, list[Row]] = defaultdict(list)
    outlined = 0
    for annotation in document.annotations(images):
        entry, label = annotation.entry, annotation.label
        outlined += annotation.is_outlined
        if annotation.box_xyxy is None:
            problems.append(_malformed(path, f"{label} has no 'bbox' of four numbers"))
            continue
        if annotation.image_id is None:
            detail = f"{label} is for image {shown(entry.get('image_id'))}, which is not listed"
            problems.append(Problem(ProblemKind.UNKNOWN_IMAGE, str(path), detail))
            continue
        category = annotation.category_id
        if listed and category not in classes:
            given = shown(entry["category_id"]) if "category_id" in entry else "(none)"
            detail = f"{label} has category_id {given}, which 'categories' does not list"
            problems.append(Problem(ProblemKind.UNKNOWN_CLASS, str(path), detail))
        class_id = classes.add(category, "unknown" if category is None else f"class {category}")
        flags = {name: flag(entry.get(name)) for name in ("iscrowd", "ignore", "difficult")}
        problems.extend(
            _malformed(path, f"{label} has {name} {shown(entry[name])}, taken for 0 as it is no flag")
            for name, value in flags.items()
            if value is None
        )
        crowd, ignore, difficult = (bool(value) for value in flags.values())
        area = spelled(entry.get("area"))
        rows[annotation.image_id].append(Row(annotation.box_xyxy, class_id, crowd or ignore, area, crowd, difficult))

    problems.extend(
        Problem(ProblemKind.DUPLICATE_ID, str(path), f"image ids {shown(same[0])} and {shown(same[1])} are one number")
        for same in by_number(images).values()  # 1 and "1" are two images here and one for other readers
        if len(same) > 1
    )
    locator = Locator(path, _folders(path, split), boundary)
    are_numbers = all(isinstance(key, int) and abs(key) < _LARGEST_ID for key in images)
    records = [
        build_record(
            key if are_numbers and isinstance(key, int) else number,
            locator.find(str(image.file_name)) or locator.expected(str(image.file_name)),
            image.size_hw,
            rows.get(key, ()),
            None if are_numbers else key,
        )
        for number, (key, image) in enumerate(images.items(), start=1)
    ]
    notes = locator.notes()
    if outlined:
        notes += (f"{path}: {outlined} annotations have no 'bbox': the boxes around their outlines were taken.",)
    keys = tuple(key for key in classes.keys if isinstance(key, int | str))
    category_ids = keys if len(keys) == len(classes.names) else ()
    return Dataset(path, "coco", split, classes.names, tuple(records), tuple(problems), notes, category_ids)


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


def _malformed(path: Path, detail: str) -> Problem:
    return Problem(ProblemKind.MALFORMED, str(path), detail)


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
    category_ids = _common_ids(parts, tuple(names))
    return Dataset(root, "coco", ALL, tuple(names), tuple(records), tuple(problems), tuple(notes), category_ids)


def _common_ids(parts: Iterable[Dataset], names: tuple[str, ...]) -> tuple[ImageId, ...]:
    """The category id of each name; none where the parts do not agree."""
    pairs = {(name, key) for part in parts for name, key in zip(part.class_names, part.category_ids, strict=False)}
    by_name = dict(pairs)
    agree = len(pairs) == len(by_name) == len(names) == len(set(by_name.values()))
    return tuple(by_name[name] for name in names) if agree else ()
