"""YOLO: a text file beside each image, lines ``class xc yc w h`` as fractions of the upright image's size.

Also read: ``class x1 y1 x2 y2 ...`` (a polygon of three points or more: the box around it), a sixth column
(confidence, ignored), key points after the box where ``data.yaml`` declares ``kpt_shape``. An empty or
missing label file means an image without boxes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from objectness.datasets import rules
from objectness.datasets.building import ClassNames, Row, build_record
from objectness.datasets.records import Dataset, Problem, Record
from objectness.datasets.splits import ALL, SPLITS, in_order, split_of
from objectness.errors import InputError
from objectness.images.sizes import images_below, is_file, is_image, read_sizes

_KEYS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}


@dataclass(frozen=True)
class YoloFiles:
    """The images of one data set.

    Attributes:
        root: The folder or data.yaml that was named.
        parts: split -> its images in order; ``all`` where there are no splits.
        class_names: Class number -> name; empty where nothing says.
        has_keypoints: Key points follow the box in each line.
        absent: split -> what data.yaml names and what is not there.
    """

    root: Path
    parts: Mapping[str, tuple[Path, ...]]
    class_names: Mapping[int, str]
    has_keypoints: bool
    absent: Mapping[str, str]

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that are there."""
        return in_order(self.parts)


def find(root: Path) -> YoloFiles | None:
    """Look for a data.yaml (any YAML file that names images for training or validation)."""
    files = sorted([*root.glob("*.yaml"), *root.glob("*.yml")])
    for path in sorted(files, key=lambda path: path.stem != "data"):
        document = _load_yaml(path, must=path.stem == "data")
        if isinstance(document, dict) and _names_images(document):
            return _from_yaml(path, document)
    return None


def find_bare(root: Path) -> YoloFiles | None:
    """Look for label files without a data.yaml: ``images/`` with ``labels/``, above or below the splits."""
    parts: dict[str, tuple[Path, ...]] = {}
    for images, labels in ((root / "images", root / "labels"), *_split_folders(root)):
        if images.is_dir() and any(labels.rglob("*.txt")):
            inner = [child for child in sorted(images.iterdir()) if child.is_dir()]
            named = {split: folder for folder in inner if (split := split_of(folder.name))}
            own = split_of(images.parent.name) if images.parent != root else None
            found: dict[str, Path] = {own: images} if own else named or {ALL: images}
            parts.update({split: tuple(images_below(folder)) for split, folder in found.items()})
    names = _names_file(root)
    if not parts and names:  # as LabelImg leaves them: images, label files and classes.txt in one folder
        everything = images_below(root)
        if any(image.with_suffix(".txt").is_file() for image in everything):
            parts = {ALL: tuple(everything)}
    return YoloFiles(root, parts, names, False, {}) if parts else None


def read_yaml(path: Path) -> YoloFiles:
    """Find the images that one data.yaml names.

    Raises:
        InputError: it is not YAML, or names no images.
    """
    document = _load_yaml(path, must=True)
    if not isinstance(document, dict) or not _names_images(document):
        raise InputError(f"{path} is not a YOLO data.yaml: it needs at least 'train' or 'val', a folder of images.")
    return _from_yaml(path, document)


def read(source: YoloFiles, split: str | None) -> Dataset:
    """Read one split, or everything."""
    everything = sorted({path for paths in source.parts.values() for path in paths})
    number = {path: position for position, path in enumerate(everything, start=1)}
    names = [*source.splits, ALL] if split is None else [split]
    paths = list(dict.fromkeys(path for name in names for path in source.parts.get(name, ())))
    classes = ClassNames((index, name) for index, name in sorted(source.class_names.items()))
    problems = [
        Problem(rules.MISSING_IMAGE, str(source.root), f"names {what} for {name}, which is not there")
        for name, what in source.absent.items()
        if split in (None, name)
    ]
    records: list[Record] = []
    for path, size in zip(paths, read_sizes(paths), strict=True):
        size_hw = None if isinstance(size, str) else size
        rows: list[Row] = []
        label = label_path(path)
        if size_hw is not None:
            for line in _label_lines(label, source.has_keypoints):
                if isinstance(line, Problem):
                    problems.append(line)
                    continue
                if source.class_names and line.class_id not in source.class_names:
                    detail = f"line {line.number} has class {line.class_id}, which has no name"
                    problems.append(Problem(rules.UNKNOWN_CLASS, str(label), detail))
                rows.append(Row(line.in_pixels(size_hw), classes.add(line.class_id, f"class {line.class_id}")))
        records.append(build_record(number[path], path, size_hw, rows, path.stem))
    problems.extend(_orphans(paths))
    return Dataset(source.root, "yolo", split or ALL, classes.names, tuple(records), tuple(problems))


def label_path(image: Path) -> Path:
    """The label file of an image: the last ``images`` folder becomes ``labels``, or beside the image."""
    parts, beside = image.parts[:-1], image.parent / f"{image.stem}.txt"
    if "images" in parts:
        last = len(parts) - 1 - parts[::-1].index("images")
        mirrored = Path(*parts[:last], "labels", *parts[last + 1 :], f"{image.stem}.txt")
        return mirrored if is_file(mirrored) or not is_file(beside) else beside
    return beside


@dataclass(frozen=True)
class _Line:
    """One label line: extent as fractions of the image."""

    number: int
    class_id: int
    extent: tuple[float, float, float, float]

    def in_pixels(self, size_hw: tuple[int, int]) -> tuple[float, float, float, float]:
        height, width = size_hw
        x1, y1, x2, y2 = self.extent
        return x1 * width, y1 * height, x2 * width, y2 * height


def _label_lines(path: Path, has_keypoints: bool) -> Iterable[_Line | Problem]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        yield Problem(rules.UNREADABLE_ANNOTATION, str(path), f"cannot be read ({reason})")
        return
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            yield _parse_line(number, line, has_keypoints)
        except ValueError as error:
            shown = line.strip() if len(line.strip()) <= 60 else f"{line.strip()[:57]}..."
            yield Problem(rules.MALFORMED, str(path), f"line {number} {error}: {shown!r}")


def _parse_line(number: int, line: str, has_keypoints: bool) -> _Line:
    try:
        values = [float(word) for word in line.split()]
    except ValueError:
        raise ValueError("holds something that is not a number") from None
    class_number, coordinates = values[0], values[1:]
    if not class_number.is_integer() or class_number < 0:
        raise ValueError("has a class that is not a whole number from 0")
    if has_keypoints:
        coordinates = coordinates[:4]
    if len(coordinates) in (4, 5):
        xc, yc, width, height = coordinates[:4]
        extent = (xc - width / 2, yc - height / 2, xc + width / 2, yc + height / 2)
    elif len(coordinates) >= 6 and len(coordinates) % 2 == 0:
        xs, ys = coordinates[::2], coordinates[1::2]
        extent = (min(xs), min(ys), max(xs), max(ys))
    else:
        raise ValueError(f"has {len(values)} columns where 'class xc yc w h' (5) or a polygon (7, 9, ...) is due")
    return _Line(number, int(class_number), extent)


def _orphans(images: Sequence[Path]) -> list[Problem]:
    """Label files that belong to none of the images, in the label folders that mirror an image folder."""
    labels = [label_path(image) for image in images]
    wanted = set(labels)
    mirrored = {label.parent for label, image in zip(labels, images, strict=True) if label.parent != image.parent}
    return [
        Problem(rules.MISSING_IMAGE, str(label), "belongs to no image")
        for folder in sorted(mirrored)
        if folder.is_dir()
        for label in sorted(folder.glob("*.txt"))
        if label not in wanted and label.name != "classes.txt"
    ]


def _load_yaml(path: Path, must: bool) -> Any:
    """Parse YAML safely; a file that need not be a data.yaml may be anything."""
    import yaml

    try:
        return yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError, RecursionError) as error:
        if not must:
            return None
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise InputError(f"{path} is not a YAML file that can be read{where}: correct it, or write it anew.") from None


def _names_images(document: Mapping[Any, Any]) -> bool:
    return any(isinstance(document.get(key), str | list) for keys in _KEYS.values() for key in keys)


def _from_yaml(path: Path, document: Mapping[Any, Any]) -> YoloFiles:
    bases = [path.parent]
    if isinstance(document.get("path"), str):
        stated = path.parent / document["path"]  # an absolute path replaces the folder of the file
        bases = [stated, path.parent] if stated.is_dir() else bases
    parts: dict[str, tuple[Path, ...]] = {}
    absent: dict[str, str] = {}
    for split in SPLITS:
        entry = next((document[key] for key in _KEYS[split] if document.get(key)), None)
        if entry is None:
            continue
        listed = [item for item in (entry if isinstance(entry, list) else [entry]) if isinstance(item, str)]
        places = [(item, _locate(item, bases)) for item in listed]
        missing = [item for item, place in places if place is None]
        images = [image for _, place in places if place is not None for image in _images_of(place, bases)]
        if missing or not listed:
            absent[split] = ", ".join(missing) or repr(entry)
        if images or (listed and not missing):
            parts[split] = tuple(dict.fromkeys(images))
    if not parts:
        names = "; ".join(f"{split}: {what}" for split, what in absent.items())
        raise InputError(f"{path} names images that are not there ({names}): set 'path' to the folder that holds them.")
    return YoloFiles(path, parts, _class_names(path, document), bool(document.get("kpt_shape")), absent)


def _locate(item: str, bases: Sequence[Path]) -> Path | None:
    """Find what data.yaml names; Roboflow writes ``../train/images`` for a folder beside the file."""
    inner = item
    while inner.startswith("../"):
        inner = inner[3:]
    found = (base / name for name in (item, inner) for base in bases)
    return next((Path(os.path.normpath(place)) for place in found if os.path.exists(place)), None)  # noqa: PTH110


def _images_of(place: Path, bases: Sequence[Path]) -> list[Path]:
    """The images of a folder, of a text file that lists them, or of one image's name."""
    if place.is_dir():
        return images_below(place)
    if is_image(place):
        return [place]
    try:
        lines = place.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        raise InputError(f"{place} cannot be read as a list of image files, one a line.") from None
    names = [line.strip() for line in lines if line.strip()]
    return [_locate(name, [place.parent, *bases]) or place.parent / name for name in names]


def _class_names(path: Path, document: Mapping[Any, Any]) -> dict[int, str]:
    names = document.get("names")
    if isinstance(names, list):
        return {index: str(name) for index, name in enumerate(names)}
    if isinstance(names, dict):
        try:
            return {int(index): str(name) for index, name in names.items()}
        except (TypeError, ValueError):
            raise InputError(f"{path}: 'names' must map class numbers to names, as in 'names: {{0: cell}}'.") from None
    count = document.get("nc")
    return {index: f"class {index}" for index in range(count)} if isinstance(count, int) and 0 < count < 100_000 else {}


def _split_folders(root: Path) -> list[tuple[Path, Path]]:
    folders = sorted(child for child in root.iterdir() if child.is_dir() and split_of(child.name))
    return [(folder / "images", folder / "labels") for folder in folders]


def _names_file(root: Path) -> dict[int, str]:
    path = root / "classes.txt"
    if not path.is_file():
        return {}
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return {index: line.strip() for index, line in enumerate(lines) if line.strip()}
