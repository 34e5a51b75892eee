"""Ground truth from one layout into another, with its images copied, linked or left."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from objectness.datasets import safe_names
from objectness.datasets.layouts import Layout, layout_named
from objectness.datasets.loading import available_splits, load_dataset
from objectness.datasets.path_lookup import home_of
from objectness.datasets.records import Record
from objectness.datasets.repair import refuse_fractions
from objectness.datasets.splits import ALL
from objectness.datasets.splitting import Split
from objectness.datasets.splitting import split as split_dataset
from objectness.datasets.writable import WritableDataset, one_entry_each, valid_boxes, with_real_sizes
from objectness.errors import InputError, did_you_mean
from objectness.files.atomic_write import filling
from objectness.files.untrusted import is_inside
from objectness.images.sizes import is_file

PLACINGS = ("copy", "link", "leave")


@dataclass(frozen=True)
class Written:
    """Counts of a written data set.

    Attributes:
        images: Part -> number of images.
        boxes: Part -> number of boxes that were written.
        changes: Losses and changes, in sentences.
        layout: Name of the layout.
    """

    images: Mapping[str, int]
    boxes: Mapping[str, int]
    changes: tuple[str, ...]
    layout: str


def convert(
    source: str | Path, target: str | Path, layout: str, *, images: str = "copy", allow_outside: bool = False
) -> Written:
    """Write a data set in another layout, with the same parts.

    Args:
        source: The data set: a folder, a COCO JSON file or a data.yaml.
        target: A new or empty folder; the data set appears there whole or not at all.
        layout: Name of a row of ``layouts.LAYOUTS``: "coco", "voc" or "yolo".
        images: "copy", "link" (symbolic links) or "leave" (COCO then names them by their whole path; VOC and
            YOLO need them put into the folder that they look in).
        allow_outside: As for ``load_dataset``.

    Raises:
        InputError: the source cannot be read, an unknown layout, a target that is not empty or cannot be written;
            every box is a fraction of its image where pixels are due.
    """
    whole = load_dataset(source, allow_outside=allow_outside)
    refuse_fractions(whole)
    position = {name: index for index, name in enumerate(whole.class_names)}
    parts: dict[str, Sequence[Record]] = {}
    changes = (
        [f"{len(whole.problems)} parts of {source} could not be read or are doubled: objectness check names them"]
        if whole.problems
        else []
    )
    changes += [note.rstrip(".") for note in whole.notes]
    for split in available_splits(source, allow_outside=allow_outside):
        part = load_dataset(source, split, allow_outside=allow_outside)
        moved = [position[name] for name in part.class_names]
        parts[split] = [_with_classes(record, moved) for record in part.records]
    if parts:
        listed = {record.path for records in parts.values() for record in records}
        rest = sum(record.path not in listed for record in whole.records)
        changes += [f"{rest} images belong to no part (train, val, test) and were left out"] if rest else []
    else:
        parts = {ALL: whole.records}
    has_ids = layout_named(whole.layout).has_ids
    home = home_of(Path(source))
    written = write_parts(parts, whole.class_names, target, layout, images=images, has_ids=has_ids, home=home)
    return replace(written, changes=(*changes, *written.changes))


def write_split(
    source: str | Path,
    target: str | Path,
    shares: Mapping[str, float],
    layout: str | None = None,
    *,
    seed: int = 0,
    images: str = "copy",
    allow_outside: bool = False,
) -> tuple[Split, Written]:
    """Split a data set by chance (see :func:`objectness.datasets.splitting.split`) and write its parts.

    Args:
        source: As for :func:`convert`.
        target: A new or empty folder; the data set appears there whole or not at all.
        shares: Part ("train", "val", "test") -> its share, above 0; all together 1.
        layout: As for :func:`convert`; None for that of the source.
        seed: The same seed gives the same parts.
        images: As for :func:`convert`.
        allow_outside: As for ``load_dataset``.

    Raises:
        InputError: as :func:`convert`; the shares are no such numbers, or there are fewer different images than parts.
    """
    dataset = load_dataset(source, allow_outside=allow_outside)
    refuse_fractions(dataset)
    found = split_dataset(dataset, shares, seed)
    written = write_parts(
        found.parts,
        dataset.class_names,
        target,
        layout or dataset.layout,
        images=images,
        has_ids=layout_named(dataset.layout).has_ids,
        home=home_of(Path(source)),
    )
    return found, written


def write_parts(
    records: Mapping[str, Sequence[Record]],
    class_names: tuple[str, ...],
    target: str | Path,
    layout: str,
    *,
    images: str = "copy",
    has_ids: bool = True,
    home: Path | None = None,
) -> Written:
    """Write parts of records as a data set.

    Only files that are images are copied or linked, whatever they are called.

    Args:
        records: Part -> its records.
        class_names: Of their ``class_ids``.
        target: A new or empty folder.
        layout: Name of a row of ``layouts.LAYOUTS``: "coco", "voc" or "yolo".
        images: As for :func:`convert`.
        has_ids: Their ids are the data set's own.
        home: The data set's folder: images that lie outside of it are counted.

    Raises:
        InputError: an unknown layout, a target that is not empty or cannot be written.
    """
    row = layout_named(layout)
    if images not in PLACINGS:
        raise InputError(f"There is no way with the images {images!r}: {did_you_mean(images, PLACINGS)}")
    with filling(Path(target)) as folder:
        return _write_into(folder, records, class_names, row, images=images, has_ids=has_ids, home=home)


def _write_into(
    folder: Path,
    records: Mapping[str, Sequence[Record]],
    class_names: tuple[str, ...],
    layout: Layout,
    *,
    images: str,
    has_ids: bool,
    home: Path | None,
) -> Written:
    records, readable, changes = with_real_sizes(records)
    records, sentences = valid_boxes(records, within_images=not layout.lists_entries)
    changes += sentences
    called = class_names
    if not layout.lists_entries:
        records, sentences = one_entry_each(records, across_parts=layout.shares_annotations)
        changes += sentences
        called = safe_names.safe_class_names(class_names)
    paths = list(dict.fromkeys(record.path for part in records.values() for record in part))
    renamed = sum(old != new for old, new in zip(class_names, called, strict=True))
    changes += [f"{renamed} class names were changed, as they could not be read back"] if renamed else []
    content = WritableDataset(called, records, safe_names.unique_file_names(paths), images == "leave", has_ids)
    changes += layout.write(folder, content)
    renamed = sum(path.name != content.file_names[path] for path in paths)
    changes += (
        [f"{renamed} images were renamed, as others have their name or it could not be read back"] if renamed else []
    )
    if images == "leave":
        folders = sorted({layout.image_folder(split) for split in records})
        changes.append(
            "the images were left: reading the new data set has to allow names that lead outside (allow_outside)"
            if layout.lists_entries
            else f"the images were left: put or link them into {', '.join(folders)}"
        )
    else:
        changes += _place_all(folder, content, layout.image_folder, readable, images, home)
    written = {
        split: sum(len(record.ignore) if layout.holds_ignored else int((~record.ignore).sum()) for record in part)
        for split, part in records.items()
    }
    return Written({split: len(part) for split, part in records.items()}, written, tuple(changes), layout.name)


def _place_all(
    folder: Path,
    content: WritableDataset,
    image_folder: Callable[[str], str],
    readable: Collection[Path],
    how: str,
    home: Path | None,
) -> list[str]:
    """Copy or link the images; files that are no readable images are left where they are."""
    placed: set[Path] = set()
    missing: set[Path] = set()
    unreadable: set[Path] = set()
    for split, part in content.records.items():
        for path in dict.fromkeys(record.path for record in part):
            if not is_file(path):
                missing.add(path)
            elif path not in readable:
                unreadable.add(path)
            else:
                _place(path, folder / image_folder(split) / content.file_names[path], how)
                placed.add(path)
    outside = 0 if home is None else sum(not is_inside(path, home) for path in placed)
    done = "copied" if how == "copy" else "linked"
    return [
        f"{count} {what}"
        for count, what in (
            (len(missing), "images are missing and could not be put there"),
            (len(unreadable), f"files are no images that can be read, and were not {done}"),
            (outside, f"of the images lie outside of {home}, behind links or by names that were allowed"),
        )
        if count
    ]


def _with_classes(record: Record, moved: Sequence[int]) -> Record:
    return replace(record, class_ids=np.array(moved, dtype=np.int64)[record.class_ids]) if moved else record


def _place(path: Path, target: Path, how: str) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if how == "copy":
            shutil.copyfile(path, target)
        elif not target.is_symlink():  # VOC has one folder for all parts
            os.symlink(path.resolve(), target)  # noqa: PTH211
    except OSError as error:
        raise InputError(f"{target} cannot be written ({error.strerror or error}).") from None
