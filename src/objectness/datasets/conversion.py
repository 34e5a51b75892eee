"""Ground truth from one layout into another, with its images copied, linked or left."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from objectness.atomic_write import filling
from objectness.datasets import write_coco, write_voc, write_yolo
from objectness.datasets.layout import available_splits, load_dataset
from objectness.datasets.parts import Parts, flat_names, usable
from objectness.datasets.records import Record
from objectness.datasets.splits import ALL
from objectness.errors import InputError, did_you_mean
from objectness.images.sizes import is_file

LAYOUTS = ("coco", "voc", "yolo")
PLACINGS = ("copy", "link", "leave")


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
        images: Part -> number of images.
        boxes: Part -> number of boxes as annotated.
        said: What was lost or changed, in sentences.
    """

    images: Mapping[str, int]
    boxes: Mapping[str, int]
    said: tuple[str, ...]


def convert(
    source: str | Path, target: str | Path, layout: str, *, images: str = "copy", allow_outside: bool = False
) -> Written:
    """Write a data set in another layout, with the same parts.

    Args:
        source: The data set: a folder, a COCO JSON file or a data.yaml.
        target: A new or empty folder; the data set appears there whole or not at all.
        layout: "coco", "voc" or "yolo".
        images: "copy", "link" (symbolic links) or "leave" (COCO then names them by their whole path; VOC and
            YOLO need them put into the folder that they look in).
        allow_outside: As for ``load_dataset``.

    Raises:
        InputError: the source cannot be read, an unknown layout, a target that is not empty or cannot be written.
    """
    whole = load_dataset(source, allow_outside=allow_outside)
    position = {name: index for index, name in enumerate(whole.class_names)}
    parts: dict[str, Sequence[Record]] = {}
    said = (
        [f"{len(whole.problems)} parts of {source} could not be read: objectness check names them"]
        if whole.problems
        else []
    )
    for split in available_splits(source, allow_outside=allow_outside):
        part = load_dataset(source, split, allow_outside=allow_outside)
        moved = [position[name] for name in part.class_names]
        parts[split] = [_with_classes(record, moved) for record in part.records]
    if parts:
        listed = {record.path for records in parts.values() for record in records}
        rest = sum(record.path not in listed for record in whole.records)
        said += [f"{rest} images belong to no part (train, val, test) and were left out"] if rest else []
    else:
        parts = {ALL: whole.records}
    has_ids = whole.layout == "coco"
    written = write_parts(parts, whole.class_names, target, layout, images=images, has_ids=has_ids)
    return Written(written.images, written.boxes, (*said, *written.said))


def write_parts(
    records: Mapping[str, Sequence[Record]],
    class_names: tuple[str, ...],
    target: str | Path,
    layout: str,
    *,
    images: str = "copy",
    has_ids: bool = True,
) -> Written:
    """Write parts of records as a data set; ``has_ids`` where their ids are the data set's own.

    Raises:
        InputError: an unknown layout, a target that is not empty or cannot be written.
    """
    for what, value, known in (("layout", layout, LAYOUTS), ("way with the images", images, PLACINGS)):
        if value not in known:
            raise InputError(f"There is no {what} {value!r}: {did_you_mean(value, known)}")
    with filling(Path(target)) as folder:
        return _write_into(folder, records, class_names, layout, images=images, has_ids=has_ids)


def _write_into(
    folder: Path,
    records: Mapping[str, Sequence[Record]],
    class_names: tuple[str, ...],
    layout: str,
    *,
    images: str,
    has_ids: bool,
) -> Written:
    paths = list(dict.fromkeys(record.path for part in records.values() for record in part))
    parts, said = usable(Parts(class_names, records, flat_names(paths), images == "leave", has_ids))
    match layout:
        case "coco":
            said += write_coco.write(folder, parts)
            place = write_coco.image_folder
        case "voc":
            said += write_voc.write(folder, parts)
            place = write_voc.image_folder
        case _:
            said += write_yolo.write(folder, parts)
            place = write_yolo.image_folder
    renamed = sum(path.name != parts.names[path] for path in paths)
    said += [f"{renamed} images were renamed, as others have their name"] if renamed else []
    if images == "leave":
        folders = sorted({place(split) for split in parts.records})
        said += [] if layout == "coco" else [f"the images were left: put or link them into {', '.join(folders)}"]
    else:
        missing = 0
        for split, part in parts.records.items():
            for path in dict.fromkeys(record.path for record in part):
                missing += not _place(path, folder / place(split) / parts.names[path], images)
        said += [f"{missing} images are missing and could not be put there"] if missing else []
    return Written(
        {split: len(part) for split, part in parts.records.items()},
        {split: sum(len(record.boxes_xyxy) for record in part) for split, part in parts.records.items()},
        tuple(said),
    )


def _with_classes(record: Record, moved: Sequence[int]) -> Record:
    return replace(record, class_ids=np.array(moved, dtype=np.int64)[record.class_ids]) if moved else record


def _place(path: Path, target: Path, how: str) -> bool:
    """Copy or link one image; False where there is none."""
    if not is_file(path):
        return False
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if how == "copy":
            shutil.copyfile(path, target)
        else:
            os.symlink(path.resolve(), target)  # noqa: PTH211
    except OSError as error:
        raise InputError(f"{target} cannot be written ({error.strerror or error}).") from None
    return True
