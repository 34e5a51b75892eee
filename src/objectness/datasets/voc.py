"""Pascal VOC: one XML file an image, splits in ``ImageSets/Main``.

VOC counts pixels from 1 and the last one in: x1 = xmin - 1, y1 = ymin - 1, x2 = xmax, y2 = ymax. Tools that
write 0-based corners yield boxes that stick out by one pixel, which ``box_validity.TOLERANCE_PX`` forgives.

Objects marked ``difficult`` are kept as ordinary boxes: proposals ought to find them, and the recall figures
published for proposals on VOC 2007 count them (14,976 boxes in the test set).
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from objectness.datasets.path_lookup import Boundary, exists
from objectness.datasets.record_builder import ClassNames, Row, build_record
from objectness.datasets.records import Dataset, Problem, ProblemKind, Record
from objectness.datasets.splits import ALL, in_order, requested_split, split_of
from objectness.errors import InputError
from objectness.files.json_values import flag, side, spelled
from objectness.files.untrusted import read_bytes, read_text
from objectness.files.xml_text import XmlError, parse_xml
from objectness.images.finding import PHOTO_SUFFIXES, is_image
from objectness.images.sizes import is_file

_CORNERS = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True)
class VocFiles:
    """Every annotation of one data set, and which of them each split holds.

    Attributes:
        root: The folder.
        annotations: XML files, sorted; their running number (from 1) is the image's id in every split.
        members: split -> the XML files it lists, whether they exist or not.
        image_folders: Where images may lie.
    """

    root: Path
    annotations: tuple[Path, ...]
    members: Mapping[str, tuple[Path, ...]]
    image_folders: tuple[Path, ...]

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that are listed."""
        return in_order(self.members)

    def read(self, split: str | None) -> Dataset:
        """Read one split, or everything.

        Raises:
            InputError: there is no such split.
        """
        return _read(self, requested_split(split, self.splits, str(self.root)))


def find(root: Path, allow_outside: bool = False) -> VocFiles | None:
    """Look for XML files: in ``Annotations/``, beside the images, or beside them in each split's folder."""
    boundary = Boundary(root, allow_outside)
    for folder in (root / "Annotations", root / "annotations", root):
        annotations = _xml_files(folder)
        if annotations and (folder != root or _looks_like_voc(annotations)):
            images = [root / name for name in ("JPEGImages", "images", "Images")]
            members = _image_sets(root / "ImageSets" / "Main", folder, boundary)
            listed = {xml for names in members.values() for xml in names}
            everything = tuple(sorted({*annotations, *listed}))
            return VocFiles(root, everything, members, _folders(*images, folder, root))
    by_split = {
        split: xml
        for folder in sorted(child for child in root.iterdir() if child.is_dir())
        if (split := split_of(folder.name)) and (xml := _xml_files(folder)) and _looks_like_voc(xml)
    }
    if not by_split:
        return None
    everything = tuple(sorted(xml for files in by_split.values() for xml in files))
    return VocFiles(root, everything, by_split, _folders(*{xml.parent for xml in everything}))


def _read(source: VocFiles, split: str | None) -> Dataset:
    chosen = source.annotations if split is None else tuple(dict.fromkeys(source.members[split]))
    number = {xml: position for position, xml in enumerate(source.annotations, start=1)}
    parsed: list[tuple[Path, _Annotation]] = []
    problems: list[Problem] = []
    for xml in chosen:
        try:
            annotation = _parse(xml)
        except _UnusableError as error:
            problems.append(Problem(ProblemKind.UNREADABLE_ANNOTATION, str(xml), str(error)))
            continue
        parsed.append((xml, annotation))
        problems.extend(Problem(ProblemKind.MALFORMED, str(xml), detail) for detail in annotation.faults)

    names = sorted({item.name for _, annotation in parsed for item in annotation.objects})
    classes = ClassNames((name, name) for name in names)
    records: list[Record] = []
    first_user: dict[Path, Path] = {}
    for xml, annotation in parsed:
        image = _image_of(xml, annotation.file_name, source.image_folders)
        if image in first_user:
            detail = f"{first_user[image].name} and {xml.name} both annotate it"
            problems.append(Problem(ProblemKind.DUPLICATE_NAME, str(image), detail))
        first_user.setdefault(image, xml)
        rows = [
            Row(item.box, classes.add(item.name, item.name), difficult=item.difficult) for item in annotation.objects
        ]
        records.append(build_record(number[xml], image, annotation.size_hw, rows, xml.stem))
    return Dataset(source.root, "voc", split or ALL, classes.names, tuple(records), tuple(problems))


@dataclass(frozen=True)
class _Object:
    name: str
    box: tuple[float, float, float, float]
    difficult: bool


@dataclass(frozen=True)
class _Annotation:
    file_name: str | None
    size_hw: tuple[int, int] | None
    objects: tuple[_Object, ...]
    faults: tuple[str, ...]


class _UnusableError(Exception):
    """An XML file without usable content: the reason reads on after the file's name."""


def _parse(path: Path) -> _Annotation:
    if not exists(path):
        raise _UnusableError("is listed in ImageSets but missing")
    try:
        root = parse_xml(read_bytes(path))
    except InputError as error:
        raise _UnusableError(str(error).removeprefix(f"{path} ")) from None
    except XmlError as error:
        raise _UnusableError(str(error)) from None
    if root.tag != "annotation":
        raise _UnusableError(f"is not a VOC annotation: its outer element is <{root.tag[:40]}>, not <annotation>")
    objects: list[_Object] = []
    faults: list[str] = []
    for number, element in enumerate(root.findall("object"), start=1):
        box = _box(element.find("bndbox"))
        if box is None:
            faults.append(f"object {number} has no <bndbox> with {', '.join(_CORNERS)} as numbers")
        else:
            name = (element.findtext("name") or "").strip() or "unnamed"
            difficult = flag(element.findtext("difficult"))
            if difficult is None:
                given = (element.findtext("difficult") or "").strip()[:40]
                faults.append(f"object {number} has difficult {given!r}, taken for 0 as it is no flag")
            objects.append(_Object(name, box, bool(difficult)))
    file_name = (root.findtext("filename") or "").strip() or None
    return _Annotation(file_name, _size(root.find("size")), tuple(objects), tuple(faults))


def _box(element: ElementTree.Element | None) -> tuple[float, float, float, float] | None:
    if element is None:
        return None
    x1, y1, x2, y2 = (spelled(element.findtext(corner)) for corner in _CORNERS)
    if x1 is None or y1 is None or x2 is None or y2 is None:
        return None
    return x1 - 1, y1 - 1, x2, y2


def _size(element: ElementTree.Element | None) -> tuple[int, int] | None:
    """(height, width); many tools write 0 for an unknown size."""
    if element is None:
        return None
    height, width = (side(element.findtext(name)) for name in ("height", "width"))
    return None if height is None or width is None else (height, width)


def _image_of(xml: Path, file_name: str | None, folders: Sequence[Path]) -> Path:
    """The image that ``<filename>`` names where there is one, else one called as the XML."""
    plain = PureWindowsPath(PurePosixPath(file_name).name).name if file_name else ""
    suffixes = [variant for end in (".jpg", *sorted(PHOTO_SUFFIXES - {".jpg"})) for variant in (end, end.upper())]
    literal = PurePosixPath(file_name).name if file_name else ""  # a backslash may be part of a name
    names = [literal, plain, *(stem + suffix for stem in (_stem(plain), xml.stem) if stem for suffix in suffixes)]
    for name in names:
        for folder in folders:
            path = folder / name
            if is_image(path) and is_file(path):
                return path
    if plain:
        return folders[0] / (plain if is_image(Path(plain)) else f"{plain}.jpg")
    return folders[0] / f"{xml.stem}.jpg"


def _xml_files(folder: Path) -> tuple[Path, ...]:
    if not folder.is_dir():
        return ()
    return tuple(sorted(path for path in folder.glob("*.xml") if not path.name.startswith(".") and not path.is_dir()))


def _looks_like_voc(files: Sequence[Path]) -> bool:
    """Whether XML files are annotations, by the first bytes of a few of them."""
    for path in files[:5]:
        if path.is_file():
            with path.open("rb") as file:
                if b"<annotation" in file.read(4096):
                    return True
    return False


def _folders(*folders: Path) -> tuple[Path, ...]:
    return tuple(folder for folder in folders if folder.is_dir())


def _image_sets(folder: Path, annotations: Path, boundary: Boundary) -> dict[str, tuple[Path, ...]]:
    """Splits from train.txt, val.txt, test.txt; trainval.txt is the training part only without train.txt.

    Files for one class ("cat_train.txt") are no splits.

    Raises:
        InputError: a list cannot be read, or names an annotation outside of the data set's folder.
    """
    members: dict[str, tuple[Path, ...]] = {}
    for stem in ("train", "trainval", "val", "valid", "validation", "test"):
        split = split_of(stem)
        path = folder / f"{stem}.txt"
        if split is not None and split not in members and path.is_file():
            lines = [line.strip() for line in read_text(path).split("\n")]
            members[split] = tuple(_listed(line, path, annotations, boundary) for line in lines if line)
    return members


def _listed(line: str, where: Path, annotations: Path, boundary: Boundary) -> Path:
    """The annotation that a line names: all of it, else without a suffix, or without the 1 or -1 of a class's list."""
    name = re.sub(r"\s+-?[01]$", "", line)
    candidates = [annotations / f"{word}.xml" for word in dict.fromkeys([line, _stem(line), name, _stem(name)])]
    found = next((xml for xml in candidates if exists(xml)), candidates[-1])
    if exists(found) and not boundary.admits(found):
        raise boundary.refusal(where, line)
    return found


def _stem(name: str) -> str:
    suffix = PurePosixPath(name).suffix.lower()
    return name[: -len(suffix)] if suffix in PHOTO_SUFFIXES or suffix == ".xml" else name
