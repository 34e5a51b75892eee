"""YOLO: a text file an image, lines ``class xc yc w h conf`` as fractions of the image, and a ``data.yaml``.

The folder has ``labels/`` (one file an image, empty where it has no proposals) and ``data.yaml``; the images
belong into ``images/`` beside them. The sixth column is the score: always with a decimal point, as some tools
take a whole number there for a track. Without scores (``with_scores=False``) the lines have the five columns that
training takes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from math import isfinite
from pathlib import Path

from objectness.datasets.outlines import Box
from objectness.datasets.yolo import declared_names, names_file
from objectness.datasets.yolo_labels import (
    TRACKED_COLUMNS,
    BadLine,
    LabelLine,
    declared_keypoints,
    has_tracks,
    label_lines,
)
from objectness.errors import InputError, MissingContextError
from objectness.files.atomic_write import replacing
from objectness.files.untrusted import read_text, regular_file
from objectness.files.yaml_text import load_yaml
from objectness.formats.core.classes import Labels, positions_of
from objectness.formats.core.file_names import short_names, stem
from objectness.formats.core.image_lookup import index_images
from objectness.formats.core.missing_context import need_sizes
from objectness.formats.core.parsed import FileBuilder, ParsedFile
from objectness.formats.core.sniffing import Content, FileHead, Signature
from objectness.formats.core.spec import Capabilities, Fault, FileNames, Format, Reaction
from objectness.image_index import ImageIndex
from objectness.proposal_set import ProposalSet
from objectness.proposals import Proposals

_YAML = "data.yaml"
_OURS = "# The boxes and names of a detector, written by objectness.\n"
# Without "path", as that would be taken from wherever a training is started; so images lie beside the file.
_IMAGES = "train: images\nval: images\nnames:\n"
_CONTENT = f"{_IMAGES}  0: object\n"
_LARGEST_FRACTION = 2.0  # a box may stick out of its image, but not by more than the image; pixels do
_NOT_LABELS = {"classes.txt", "train.txt", "val.txt", "test.txt", "requirements.txt", "readme.txt"}


def parse(path: Path, image_index: ImageIndex | None = None) -> ParsedFile:
    """Read a folder (or its data.yaml); sizes come from ``image_index``, else from the images in ``images/``.

    Key points are dropped; of an outline the box around it is taken. An image without a label file has no
    proposals.

    Raises:
        InputError: there are no label files, or no sizes; a line is malformed; labels belong to no image.
    """
    root = path.parent if path.suffix.lower() in (".yaml", ".yml") else path
    folder = root / "labels" if (root / "labels").is_dir() else root
    labels = _label_files(folder)
    if not labels:
        raise InputError(f"{path} has no label files: looked for labels/*.txt and *.txt.")
    if image_index is None:
        beside = root / "images" if (root / "images").is_dir() else root
        image_index = index_images(images=beside)
    if image_index is None or not image_index.images:
        raise MissingContextError(
            f"{path} gives boxes as fractions of images and has no images: give the data set or the folder of images.",
            arguments=("data", "images"),
        )
    builder = FileBuilder()
    for image in image_index.images:
        builder.image(image.path, image.image_id, str(image.path), image.size_hw)
    classes: set[int] = set()
    document = load_yaml(root / _YAML) if (root / _YAML).is_file() else None
    names = declared_names(root / _YAML, document) if isinstance(document, dict) and "names" in document else {}
    names = names or names_file(root)
    for position, name in names.items():
        builder.class_number(name, position=position)
    keypoints = declared_keypoints(document) if isinstance(document, dict) else 0
    tracks = not keypoints and has_tracks(line for label in labels for line in label_lines(label, TRACKED_COLUMNS))
    outlines = lines = 0
    large: list[tuple[Path, int]] = []
    for label in labels:
        name = label.relative_to(folder).with_suffix("").as_posix()
        found = image_index.find(name)
        if found is None:
            raise InputError(f"{label} belongs to no image of {image_index.where}, so that its size is unknown.")
        if found.size_hw is None:
            raise InputError(f"{label}: the size of {found.path} is unknown, as it cannot be read.")
        rows = builder.image(found.path)
        height, width = found.size_hw
        for line in label_lines(label):
            if isinstance(line, BadLine):
                raise InputError(f"{label}: line {line.number} {line.reason}.")
            (x1, y1, x2, y2), score, places = _judged(label, line, keypoints, tracks)
            classes.add(line.class_id)
            outlines += len(places) > 4
            lines += 1
            if any(isfinite(value) and abs(value) > _LARGEST_FRACTION for value in places):
                large.append((label, line.number))
            class_number = builder.class_number(names.get(line.class_id), position=line.class_id)
            box = (x1 * width, y1 * height, x2 * width, y2 * height)
            rows.add(box, score, line.number, class_number=class_number)
    if len(large) * 2 > lines and not _is_ours(root / _YAML):  # a few may lie far outside their image
        file, number = large[0]
        raise InputError(
            f"{file}: line {number} is in pixels: the numbers of a label file are fractions of the image, from 0 to 1."
        )
    notes = [f"took the boxes around {outlines} outlines"] if outlines else []
    if tracks:
        notes.append("left out the numbers of tracks")
    if keypoints:
        notes.append("left out the key points")
    lost = [f"left out the {len(classes)} classes: proposals have none"] if len(classes) > 1 else []
    return builder.finish("line", None, notes, lost)


def _judged(label: Path, line: LabelLine, keypoints: int, tracks: bool) -> tuple[Box, float | None, tuple[float, ...]]:
    """The box as fractions of the image, its score and the numbers that it was made of.

    Raises:
        InputError: the line has too many or too few columns, or its meaning is not clear.
    """
    numbers = line.coordinates
    if tracks and len(numbers) + 1 == TRACKED_COLUMNS:
        numbers = numbers[:5]
    count = len(numbers)
    is_box = count in (4 + keypoints, 5 + keypoints)
    if not is_box and (count < 6 or keypoints):
        due = f" and {keypoints} of key points" if keypoints else ""
        raise InputError(
            f"{label}: line {line.number} has {count + 1} columns; due are class xc yc w h{due} and the score."
        )
    if not is_box and (line.marks_visibility() or (count >= 11 and line.marks_visibility(and_score=True))):
        raise InputError(
            f"{label}: line {line.number} has {count + 1} columns, an outline or a box with key points: "
            "lay the data.yaml beside the labels that says which by its kpt_shape."
        )
    has_score = count == 5 + keypoints if is_box else count % 2 == 1
    if has_score and numbers[-1] > 1 and (word := line.text.split()[count]).isdecimal():
        raise InputError(
            f"{label}: line {line.number} has {word[:20]} in the place of the score, "
            "as if it were the number of a track."
        )
    score = numbers[-1] if has_score else None
    return (line.box, score, numbers[:4]) if is_box else (line.outline, score, numbers[: count - has_score])


def write(path: Path, proposals: ProposalSet, classes: Labels | None = None, *, with_scores: bool = True) -> None:
    """Write the folder; label files that were written here before are replaced, never added to.

    Raises:
        InputError: the size of an image is unknown; two images have one name; the folder has labels of other
            images, or some that were not written here; the place cannot be written to.
    """
    folder = path
    need_sizes(proposals, FORMAT.title)
    names = {image_id: f"{stem(name)}.txt" for image_id, name in short_names(proposals).items()}
    labels = folder / "labels"
    others = {file.relative_to(labels).as_posix() for file in _label_files(labels)} - set(names.values())
    if others:
        raise InputError(
            f"{labels} has labels of other images ({sorted(others)[0]} and {len(others) - 1} more): name a new folder."
        )
    there = (folder / _YAML).exists() or (labels.is_dir() and any(labels.rglob("*.txt")))
    if there and not _is_ours(folder / _YAML):
        raise InputError(f"{folder} is a YOLO data set that was not written here: name a new folder.")
    with replacing(folder / _YAML) as file:  # first, so that a half-written folder can be written again
        file.write(_CONTENT if classes is None else _named(classes))
    for image_id, found in proposals.items():
        with replacing(labels / names[image_id]) as file:
            file.writelines(_lines(found, positions_of(classes, image_id, len(found)), with_scores))


def _holds_labels(head: FileHead) -> bool:
    """Whether a folder has label files of numbers."""
    folder = head.path / "labels" if (head.path / "labels").is_dir() else head.path
    return any(_looks_like_label(file) for file in _label_files(folder)[:20])


def _lies_beside_labels(head: FileHead) -> bool:
    return not head.is_folder and (head.path.parent / "labels").is_dir()


def _is_ours(path: Path) -> bool:
    """Whether a data.yaml is the one that is written here, today or by an earlier version."""
    try:
        content = read_text(path)
        return content.startswith(_OURS) or content.removeprefix("path: .\n") == _CONTENT
    except InputError:
        return False


def _named(labels: Labels) -> str:
    """The data.yaml of boxes that have classes; JSON's text is YAML's too."""
    lines = "".join(f"  {number}: {json.dumps(name)}\n" for number, name in enumerate(labels.names))
    return f"{_OURS}{_IMAGES}{lines}"


def _label_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(
        file
        for file in folder.rglob("*.txt")
        if (file.name.lower() not in _NOT_LABELS or _looks_like_label(file)) and not file.name.startswith("._")
    )


def _looks_like_label(path: Path) -> bool:
    try:
        with regular_file(path).open("rb") as file:
            words = file.read(1 << 14).decode("utf-8-sig", "replace").split("\n", 1)[0].split()
        return len(words) >= 5 and all(_is_number(word) for word in words)
    except (OSError, InputError):
        return False


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _lines(found: Proposals, labels: Sequence[int], with_scores: bool) -> Iterator[str]:
    height, width = found.size_hw
    boxes, scores = found.boxes_xyxy.astype(float).tolist(), found.scores.tolist()
    for (x1, y1, x2, y2), score, label in zip(boxes, scores, labels, strict=True):
        numbers = ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height)
        confidence = f"{score:.9g}"
        if "." not in confidence and "e" not in confidence:
            confidence += ".0"
        yield f"{label} {' '.join(f'{value:.10g}' for value in numbers)}{f' {confidence}' if with_scores else ''}\n"


FORMAT = Format(
    name="yolo",
    title="YOLO",
    suffixes=(),
    parts=(".txt", ".yaml", ".yml"),
    holds=Capabilities(
        names=FileNames.STEM,
        empty=True,
        precision="boxes to ten digits of a fraction of the image",
        is_file_an_image=True,
    ),
    consumers="Label Studio and CVAT (YOLO import); without scores, YOLO training",
    signatures=(
        Signature(Content.FOLDER, check=_holds_labels),
        Signature(suffixes=(".yaml", ".yml"), check=_lies_beside_labels),
    ),
    parse=parse,
    write=write,
    write_labelled=write,
    write_without_scores=partial(write, with_scores=False),
    reactions={
        Fault.STICKS_OUT: Reaction("YOLO training", "throws the whole image away: coordinates out of bounds"),
        Fault.OUTSIDE: Reaction("YOLO training", "throws the whole image away: coordinates out of bounds"),
        Fault.DUPLICATE: Reaction("YOLO training", "removes duplicate labels", breaks=False),
        Fault.MISSING_IMAGE: Reaction("YOLO training", "takes the image for one without objects", breaks=False),
        Fault.UNSORTED: Reaction("YOLO readers", "do not care for the order", breaks=False),
    },
)
