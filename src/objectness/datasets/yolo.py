"""YOLO: a text file beside each image, lines ``class xc yc w h`` as fractions of the upright image's size.

Also read: ``class x1 y1 x2 y2 ...`` (a polygon of three points or more: the box around it), a sixth column
(confidence, ignored), key points after the box where ``data.yaml`` declares ``kpt_shape`` or the lines themselves
show it. An empty or missing label file means an image without boxes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from objectness.datasets.path_lookup import Boundary, Locator, exists, normal_path
from objectness.datasets.record_builder import ClassNames, Row, build_record
from objectness.datasets.records import Dataset, Problem, ProblemKind, Record
from objectness.datasets.splits import ALL, SPLITS, in_order, requested_split, split_of
from objectness.datasets.yolo_labels import LabelLine, box_in_pixels, declared_keypoints, judge_columns, read_lines
from objectness.errors import InputError
from objectness.files.untrusted import MOST_TEXT_BYTES, read_bytes, read_text
from objectness.files.yaml_text import load_yaml
from objectness.images.finding import is_image, walk
from objectness.images.sizes import is_file, read_sizes

_KEYS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}


@dataclass(frozen=True)
class YoloFiles:
    """The images of one data set.

    Attributes:
        root: The folder or data.yaml that was named.
        parts: split -> its images in order; ``all`` where there are no splits.
        class_names: Class number -> name; empty where no file tells them.
        keypoints: How many numbers of key points follow the box in each line, as data.yaml declares; 0 for none.
        absent: split -> the missing places that data.yaml names.
        notes: Places that were found elsewhere than data.yaml has them.
        closed: Folders among the images that cannot be read -> why.
    """

    root: Path
    parts: Mapping[str, tuple[Path, ...]]
    class_names: Mapping[int, str]
    keypoints: int
    absent: Mapping[str, str]
    notes: tuple[str, ...] = ()
    closed: Mapping[Path, str] = field(default_factory=dict)

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that are there."""
        return in_order(self.parts)

    def read(self, split: str | None) -> Dataset:
        """Read one split, or everything.

        Raises:
            InputError: there is no such split.
        """
        return _read(self, requested_split(split, self.splits, str(self.root)))


def find(root: Path, allow_outside: bool = False) -> YoloFiles | None:
    """Look for a data.yaml (any YAML file that names images for training or validation)."""
    files = sorted(path for path in (*root.glob("*.yaml"), *root.glob("*.yml")) if not path.is_dir())
    for path in sorted(files, key=lambda path: path.stem != "data"):
        try:
            document = load_yaml(path)
        except InputError:
            if path.stem == "data":
                raise
            continue  # a file that need not be a data.yaml may be anything
        if isinstance(document, dict) and _names_images(document):
            return _from_yaml(path, document, allow_outside)
    return None


def find_bare(root: Path) -> YoloFiles | None:
    """Look for label files without a data.yaml: ``images/`` with ``labels/``, above or below the splits."""
    parts: dict[str, tuple[Path, ...]] = {}
    closed: dict[Path, str] = {}
    for images, labels in ((root / "images", root / "labels"), *_split_folders(root)):
        if images.is_dir() and any(labels.rglob("*.txt")):
            inner = [child for child in sorted(images.iterdir()) if child.is_dir()]
            named = {split: folder for folder in inner if (split := split_of(folder.name))}
            own = split_of(images.parent.name) if images.parent != root else None
            found: dict[str, Path] = {own: images} if own else named or {ALL: images}
            for split, folder in found.items():
                walked = walk(folder)
                parts[split] = walked.images
                closed.update(walked.closed)
    names = names_file(root)
    if not parts and names:  # as LabelImg leaves them: images, label files and classes.txt in one folder
        walked = walk(root)
        if any(image.with_suffix(".txt").is_file() for image in walked.images):
            parts = {ALL: walked.images}
            closed.update(walked.closed)
    return YoloFiles(root, parts, names, 0, {}, closed=closed) if parts else None


def read_yaml(path: Path, allow_outside: bool = False) -> YoloFiles:
    """Find the images that one data.yaml names.

    Raises:
        InputError: it is not YAML, or names no images, or images outside of its folder.
    """
    document = load_yaml(path)
    if not isinstance(document, dict) or not _names_images(document):
        raise InputError(f"{path} is not a YOLO data.yaml: it needs at least 'train' or 'val', a folder of images.")
    return _from_yaml(path, document, allow_outside)


def _read(source: YoloFiles, split: str | None) -> Dataset:
    everything = sorted({path for paths in source.parts.values() for path in paths})
    number = {path: position for position, path in enumerate(everything, start=1)}
    names = [*source.splits, ALL] if split is None else [split]
    paths = list(dict.fromkeys(path for name in names for path in source.parts.get(name, ())))
    classes = ClassNames((index, name) for index, name in sorted(source.class_names.items()))
    problems = [
        Problem(ProblemKind.MISSING_IMAGE, str(source.root), f"names {what} for {name}, which is not there")
        for name, what in source.absent.items()
        if split in (None, name)
    ]
    problems += [
        Problem(
            ProblemKind.UNREADABLE_IMAGE,
            str(folder),
            f"the folder cannot be read ({why}); what is in it was passed over",
        )
        for folder, why in source.closed.items()
    ]
    labels = [label_path(path) for path in paths]
    lines = [read_lines(label) for label in labels]
    columns = judge_columns([line for own in lines for line in own if isinstance(line, LabelLine)], source.keypoints)
    records: list[Record] = []
    for path, label, own, size in zip(paths, labels, lines, read_sizes(paths), strict=True):
        size_hw = None if isinstance(size, str) else size
        rows: list[Row] = []
        if size_hw is None and own:
            detail = f"has boxes as fractions of {path.name}, which is missing or cannot be read"
            problems.append(Problem(ProblemKind.UNREADABLE_ANNOTATION, str(label), detail))
        for line in own:
            if size_hw is None:
                break
            if isinstance(line, Problem):
                problems.append(line)
                continue
            box = box_in_pixels(line, columns, size_hw, label)
            if isinstance(box, Problem):
                problems.append(box)
                continue
            if source.class_names and line.class_id not in source.class_names:
                detail = f"line {line.number} has class {line.class_id}, which has no name"
                problems.append(Problem(ProblemKind.UNKNOWN_CLASS, str(label), detail))
            rows.append(Row(box, classes.add(line.class_id, f"class {line.class_id}")))
        records.append(build_record(number[path], path, size_hw, rows, path.stem))
    problems.extend(_orphans(paths))
    notes = (*source.notes, *((f"{source.root}: {columns.note}",) if columns.note else ()))
    return Dataset(source.root, "yolo", split or ALL, classes.names, tuple(records), tuple(problems), notes)


def label_path(image: Path) -> Path:
    """The label file of an image: the last ``images`` folder becomes ``labels``, or beside the image."""
    parts, beside = image.parts[:-1], image.parent / f"{image.stem}.txt"
    if "images" in parts:
        last = len(parts) - 1 - parts[::-1].index("images")
        mirrored = Path(*parts[:last], "labels", *parts[last + 1 :], f"{image.stem}.txt")
        return mirrored if is_file(mirrored) or not is_file(beside) else beside
    return beside


def _orphans(images: Sequence[Path]) -> list[Problem]:
    """Label files that belong to none of the images, in the label folders that mirror an image folder."""
    labels = [label_path(image) for image in images]
    wanted = set(labels)
    mirrored = {label.parent for label, image in zip(labels, images, strict=True) if label.parent != image.parent}
    return [
        Problem(ProblemKind.MISSING_IMAGE, str(label), "belongs to no image")
        for folder in sorted(mirrored)
        if exists(folder) and folder.is_dir()
        for label in sorted(folder.glob("*.txt"))
        if label not in wanted and label.name != "classes.txt"
    ]


def _names_images(document: Mapping[Any, Any]) -> bool:
    return any(isinstance(document.get(key), str | list) for keys in _KEYS.values() for key in keys)


def _from_yaml(path: Path, document: Mapping[Any, Any], allow_outside: bool) -> YoloFiles:
    search = _Search(path, document.get("path"), Boundary(path.parent, allow_outside))
    parts: dict[str, tuple[Path, ...]] = {}
    absent: dict[str, str] = {}
    for split in SPLITS:
        entry = next((document[key] for key in _KEYS[split] if document.get(key)), None)
        if entry is None:
            continue
        listed = [item for item in (entry if isinstance(entry, list) else [entry]) if isinstance(item, str)]
        places = [(item, search.locate(item)) for item in listed]
        missing = [item for item, place in places if place is None]
        images = [image for _, place in places if place is not None for image in search.images_of(place)]
        if missing or not listed:
            absent[split] = ", ".join(missing) or repr(entry)[:100]
        if images or (listed and not missing):
            parts[split] = tuple(dict.fromkeys(images))
    if not parts:
        names = "; ".join(f"{split}: {what}" for split, what in absent.items())
        raise InputError(f"{path} names images that are not there ({names}): set 'path' to the folder that holds them.")
    classes, keypoints = declared_names(path, document), declared_keypoints(document)
    return YoloFiles(path, parts, classes, keypoints, absent, search.notes(), search.closed)


class _Search:
    """Search for the images that data.yaml and its lists name, within the boundary.

    Attributes:
        closed: Folders that cannot be read -> why.
    """

    def __init__(self, path: Path, stated: object, boundary: Boundary) -> None:
        bases = [path.parent]
        if isinstance(stated, str) and exists(path.parent / stated):  # an absolute path replaces the file's folder
            folder = path.parent / stated
            if not boundary.admits(normal_path(folder)):
                raise boundary.refusal(path, stated)
            bases = [folder, path.parent] if folder.is_dir() else bases
        self._locator = Locator(path, bases, boundary, keep_order=True)
        self.notes = self._locator.notes
        self.closed: dict[Path, str] = {}

    def locate(self, item: str, near: Sequence[Path] = (), accept: Callable[[Path], bool] = exists) -> Path | None:
        """The folder or file of that name; Roboflow writes ``../train/images`` for a folder beside the file.

        Raises:
            InputError: it lies outside of the data set's folder.
        """
        inner = re.sub(r"^(\.\./)+", "", item.replace("\\", "/"))
        return self._locator.find(item, near=near, aliases=[inner], accept=accept)

    def images_of(self, place: Path) -> list[Path]:
        """The images of a folder, of a text file that lists them, or of one image's name."""
        if place.is_dir():
            walked = walk(place)
            self.closed.update(walked.closed)
            return list(walked.images)
        if is_image(place):
            return [place]
        names = [line.strip() for line in read_text(place).split("\n") if line.strip()]
        return [self.locate(name, [place.parent], _is_no_folder) or place.parent / name for name in names]


def _is_no_folder(path: Path) -> bool:
    return exists(path) and not path.is_dir()


def declared_names(path: Path, document: Mapping[Any, Any]) -> dict[int, str]:
    """Class number -> name as a data.yaml gives them; empty where it gives none.

    Raises:
        InputError: they are no list and no mapping from numbers.
    """
    names = document.get("names")
    if isinstance(names, list):
        return {index: str(name) for index, name in enumerate(names)}
    if isinstance(names, dict):
        try:
            return {int(index): str(name) for index, name in names.items()}
        except (TypeError, ValueError, OverflowError):
            raise InputError(f"{path}: 'names' must map class numbers to names, as in 'names: {{0: cell}}'.") from None
    count = document.get("nc")
    return {index: f"class {index}" for index in range(count)} if isinstance(count, int) and 0 < count < 100_000 else {}


def _split_folders(root: Path) -> list[tuple[Path, Path]]:
    folders = sorted(child for child in root.iterdir() if child.is_dir() and split_of(child.name))
    return [(folder / "images", folder / "labels") for folder in folders]


def names_file(root: Path) -> dict[int, str]:
    """Class number -> name as the lines of a classes.txt give them; empty where there is none."""
    path = root / "classes.txt"
    if not path.is_file():
        return {}
    lines = read_bytes(path, MOST_TEXT_BYTES).decode("utf-8", "replace").splitlines()
    return {index: line.strip() for index, line in enumerate(lines) if line.strip()}
