"""A data set on its way into another layout: its parts, what the images are called there, what is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from objectness import boxes
from objectness.datasets.records import Record
from objectness.images.sizes import read_sizes


@dataclass(frozen=True)
class Parts:
    """What a writer needs.

    Attributes:
        class_names: Of ``class_ids``.
        records: Part ("train", "val", "test", or "all" where there are none) -> its records.
        names: Image file -> what it is called in the new layout; no two are alike, suffix aside.
        is_left: The images were left in their place.
        has_ids: The records' ids are the data set's own, not running numbers.
    """

    class_names: tuple[str, ...]
    records: Mapping[str, Sequence[Record]]
    names: Mapping[Path, str]
    is_left: bool = False
    has_ids: bool = True


def usable(parts: Parts) -> tuple[Parts, list[str]]:
    """Leave out what no layout can hold: images of unknown size, boxes that are not finite; say how many.

    Every record has its size afterwards: the annotation's own, else the file's.
    """
    missing = [record.path for part in parts.records.values() for record in part if record.size_hw is None]
    sizes = dict(zip(missing, read_sizes(missing), strict=True))
    sized: dict[str, list[Record]] = {}
    lost_images, lost_boxes = 0, 0
    for split, records in parts.records.items():
        sized[split] = []
        for record in records:
            size = record.size_hw or sizes[record.path]
            if isinstance(size, str):
                lost_images += 1
                continue
            finite = np.all(np.isfinite(record.boxes_xyxy), axis=1)
            lost_boxes += int((~finite).sum())
            sized[split].append(replace(record.keep(finite), size_hw=size))
    said = [
        f"left out {count} {what}"
        for count, what in (
            (lost_images, "images whose size nobody knows and whose file cannot be read"),
            (lost_boxes, "boxes that are not made of finite numbers"),
        )
        if count
    ]
    return replace(parts, records=sized), said


def flat_names(paths: Sequence[Path]) -> dict[Path, str]:
    """A name for each image that no other has, suffix aside: its own, else with its folder before it, else numbered."""
    times = Counter(path.stem for path in paths)
    taken: set[str] = set()
    names: dict[Path, str] = {}
    for path in paths:
        stem = path.stem if times[path.stem] == 1 else f"{path.parent.name}_{path.stem}"
        number = 2
        unique = stem
        while unique in taken:
            unique, number = f"{stem}_{number}", number + 1
        taken.add(unique)
        names[path] = unique + path.suffix
    return names


def count_crowds(parts: Parts) -> int:
    """Boxes that mark crowd or ignore regions."""
    return sum(int(record.ignore.sum()) for part in parts.records.values() for record in part)


def count_difficult(parts: Parts) -> int:
    """Boxes marked difficult."""
    flags = (record.difficult for part in parts.records.values() for record in part)
    return sum(0 if flag is None else int(flag.sum()) for flag in flags)


def count_other_areas(parts: Parts) -> int:
    """Boxes whose annotated area (that of a mask) is another than their own."""
    return sum(
        int((np.abs(record.areas - boxes.area(record.boxes_xyxy)) > 1).sum())
        for part in parts.records.values()
        for record in part
    )
