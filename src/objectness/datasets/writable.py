"""A data set made writable in another layout: real sizes, boxes that the layout can hold, one entry an image."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from objectness import boxes
from objectness.datasets.records import Record
from objectness.images.sizes import read_sizes

# The part of a box within its image must be wider and higher than this: thinner is rounding.
_THINNEST_PX = 1e-3

Records = Mapping[str, Sequence[Record]]


@dataclass(frozen=True)
class WritableDataset:
    """A data set as the writer of a layout takes it.

    Attributes:
        class_names: Of ``class_ids``.
        records: Part ("train", "val", "test", or "all" where there are none) -> its records.
        file_names: Image file -> its name in the new layout; no two are alike, suffix aside.
        images_left: The images stay where they are.
        has_ids: The records' ids are the data set's own, not running numbers.
    """

    class_names: tuple[str, ...]
    records: Records
    file_names: Mapping[Path, str]
    images_left: bool = False
    has_ids: bool = True


def with_real_sizes(records: Records) -> tuple[Records, frozenset[Path], list[str]]:
    """Give each record the upright size that its file has, else the one that its annotation declares.

    Returns:
        The records, without those of images of unknown size; the files that are images; sentences about the
        changes.
    """
    paths = list(dict.fromkeys(record.path for part in records.values() for record in part))
    sizes = dict(zip(paths, read_sizes(paths), strict=True))
    sized: dict[str, list[Record]] = {split: [] for split in records}
    unknown = differing = 0
    for split, part in records.items():
        for record in part:
            real = sizes[record.path]
            size = record.size_hw if isinstance(real, str) else real
            if size is None:
                unknown += 1
                continue
            differing += record.size_hw is not None and size != record.size_hw
            sized[split].append(replace(record, size_hw=size))
    changes = _counted(
        (unknown, "left out {} images whose size nobody knows and whose file cannot be read"),
        (
            differing,
            "{} images have another size than their annotation says: the file's was taken, and boxes stay where they "
            "are in pixels (objectness check names them)",
        ),
    )
    return sized, frozenset(path for path, size in sizes.items() if not isinstance(size, str)), changes


def valid_boxes(records: Records, *, within_images: bool) -> tuple[Records, list[str]]:
    """Leave out unusable boxes: not finite, without extent, and with ``within_images`` outside of their image.

    ``within_images`` clips the others to it. The sentences count both.
    """
    endless = flat = outside = clipped = 0
    kept: dict[str, list[Record]] = {split: [] for split in records}
    for split, part in records.items():
        for record in part:
            finite = np.all(np.isfinite(record.boxes_xyxy), axis=1)
            sound = record.keep(finite)
            extended = _are_wider_than(sound.boxes_xyxy, 0)
            endless, flat = endless + int((~finite).sum()), flat + int((~extended).sum())
            sound = sound.keep(extended)
            if within_images:
                inside = boxes.clip(sound.boxes_xyxy, sound.size_hw or (0, 0))
                touches = _are_wider_than(inside, _THINNEST_PX)
                outside += int((~touches).sum())
                clipped += int((np.abs(inside - sound.boxes_xyxy).max(axis=1, initial=0)[touches] > _THINNEST_PX).sum())
                own = np.abs(sound.areas - boxes.area(sound.boxes_xyxy)) <= 1  # else a mask's, which stays
                areas = np.where(own, boxes.area(inside), sound.areas).astype(np.float32)
                sound = replace(sound, boxes_xyxy=inside, areas=areas).keep(touches)
            kept[split].append(sound)
    return kept, _counted(
        (endless, "left out {} boxes that are not made of finite numbers"),
        (flat, "left out {} boxes whose width or height is 0 or less"),
        (outside, "left out {} boxes that lie outside of their image"),
        (clipped, "{} boxes were clipped to their image"),
    )


def one_entry_each(records: Records, *, across_parts: bool) -> tuple[Records, list[str]]:
    """Merge the entries of each image, for layouts that have one annotation file an image.

    A box that two entries have in common comes once. With ``across_parts`` an image that is in several parts gets
    the boxes of all of them in each.
    """
    merged: dict[str, list[Record]] = {}
    entries = doubled = 0
    for split, part in records.items():
        grouped = _by_path(part)
        merged[split] = [_together(group) for group in grouped.values()]
        entries += len(part) - len(grouped)
        doubled += sum(map(_common, grouped.values()))
    shared = 0
    if across_parts:
        everywhere = _by_path(record for part in merged.values() for record in part)
        whole = {path: _together(group) for path, group in everywhere.items()}
        shared = sum(any(len(one.boxes_xyxy) < len(whole[p].boxes_xyxy) for one in g) for p, g in everywhere.items())
        merged = {split: [whole[record.path] for record in part] for split, part in merged.items()}
    return merged, _counted(
        (entries, "{} entries are of an image that another entry has too: their boxes were merged into one annotation"),
        (doubled, "{} boxes that such entries have in common were written once"),
        (shared, "{} images are in several parts with different boxes: they have the boxes of all in one annotation"),
    )


def _together(entries: Sequence[Record]) -> Record:
    """The first entry with the boxes of all."""
    first = entries[0]
    if len(entries) == 1:
        return first
    whole = replace(
        first,
        boxes_xyxy=np.concatenate([record.boxes_xyxy for record in entries]),
        class_ids=np.concatenate([record.class_ids for record in entries]),
        ignore=np.concatenate([record.ignore for record in entries]),
        areas=np.concatenate([record.areas for record in entries]),
        crowd=_flags(entries, lambda record: record.crowd),
        difficult=_flags(entries, lambda record: record.difficult),
    )
    return whole.keep(_new_ones(entries))


def _common(entries: Sequence[Record]) -> int:
    return int((~_new_ones(entries)).sum()) if len(entries) > 1 else 0


def _new_ones(entries: Sequence[Record]) -> NDArray[np.bool_]:
    """Which boxes no earlier entry has, over the boxes of all."""
    seen: set[tuple[int, bytes]] = set()
    new: list[bool] = []
    for record in entries:
        keys = [(int(name), box.tobytes()) for name, box in zip(record.class_ids, record.boxes_xyxy, strict=True)]
        new += [key not in seen for key in keys]
        seen.update(keys)
    return np.array(new, dtype=np.bool_)


def _flags(entries: Sequence[Record], flag: Callable[[Record], NDArray[np.bool_] | None]) -> NDArray[np.bool_] | None:
    """One kind of flag of all entries; unset where an entry does not know it."""
    known = [flag(record) for record in entries]
    if all(one is None for one in known):
        return None
    empty = [np.zeros(len(record.boxes_xyxy), dtype=np.bool_) for record in entries]
    return np.concatenate([none if one is None else one for none, one in zip(empty, known, strict=True)])


def _by_path(records: Iterable[Record]) -> dict[Path, list[Record]]:
    grouped: dict[Path, list[Record]] = {}
    for record in records:
        grouped.setdefault(record.path, []).append(record)
    return grouped


def _are_wider_than(boxes_xyxy: boxes.Boxes, least: float) -> NDArray[np.bool_]:
    sides = boxes_xyxy[:, 2:].astype(np.float64) - boxes_xyxy[:, :2]
    mask: NDArray[np.bool_] = np.all(sides > least, axis=1)
    return mask


def _counted(*counts: tuple[int, str]) -> list[str]:
    return [sentence.format(count) for count, sentence in counts if count]


def count_crowds(content: WritableDataset) -> int:
    """Boxes that mark crowd or ignore regions."""
    return sum(int(record.ignore.sum()) for part in content.records.values() for record in part)


def count_difficult(content: WritableDataset) -> int:
    """Boxes marked difficult."""
    flags = (record.difficult for part in content.records.values() for record in part)
    return sum(0 if flag is None else int(flag.sum()) for flag in flags)


def count_other_areas(content: WritableDataset) -> int:
    """Boxes whose annotated area (that of a mask) differs from their own."""
    return sum(
        int((np.abs(record.areas - boxes.area(record.boxes_xyxy)) > 1).sum())
        for part in content.records.values()
        for record in part
    )
