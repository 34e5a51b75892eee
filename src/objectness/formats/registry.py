"""Every format, and which of them a path is."""

from __future__ import annotations

from pathlib import Path

from objectness.errors import InputError, did_you_mean
from objectness.formats import (
    coco_dataset,
    coco_results,
    csv_rows,
    cvat,
    detectron2,
    fiftyone,
    geojson,
    huggingface,
    label_studio,
    mmdet2,
    mmdet3,
    parquet,
    yolo,
)
from objectness.formats.core.sniffing import peek, present
from objectness.formats.core.spec import Format
from objectness.formats.legacy import detectron1, hosang, selective_search

FORMATS: tuple[Format, ...] = (
    parquet.FORMAT,
    coco_results.FORMAT,
    coco_dataset.FORMAT,
    yolo.FORMAT,
    csv_rows.FORMAT,
    detectron2.FORMAT,
    detectron1.FORMAT,
    mmdet3.FORMAT,
    mmdet2.FORMAT,
    selective_search.FORMAT,
    hosang.FORMAT,
    label_studio.FORMAT,
    cvat.FORMAT,
    fiftyone.FORMAT,
    geojson.FORMAT,
    huggingface.FORMAT,
)
NAMES = tuple(entry.name for entry in FORMATS)


def format_named(name: str) -> Format:
    """The format that is called so.

    Raises:
        InputError: there is none.
    """
    for entry in FORMATS:
        if entry.name == name:
            return entry
    raise InputError(f"There is no format {name!r}: {did_you_mean(name, NAMES)}")


def guess_to_read(path: Path) -> Format:
    """The format of a file or folder that is there: by what it holds, then by its suffix.

    Raises:
        InputError: there is nothing; it is none of them, or may be several.
    """
    seen = peek(present(path))
    found = [entry for entry in FORMATS if entry.recognise(seen)]
    if not found and path.suffix and not seen.is_folder:
        found = _by_suffix(path)
    if len(found) == 1:
        return found[0]
    if not found:
        raise InputError(
            f"{path} is no proposals file that is known: name its format, one of {', '.join(NAMES)}.",
            arguments=("source_format",),
        )
    raise InputError(f"{path} may be {_listed(found)}: name its format.", arguments=("source_format",))


def guess_to_write(path: Path) -> Format:
    """The format to write a path in: by its suffix, or by what it replaces.

    Raises:
        InputError: several formats have that suffix, or none.
    """
    found = _by_suffix(path)
    if len(found) == 1:
        return found[0]
    seen = peek(path)
    if seen.is_folder or path.is_file():
        replaced = [entry for entry in FORMATS if entry.recognise(seen)]
        if len(replaced) == 1:
            return replaced[0]
    if not found:
        suffix = f"ends in {path.suffix}, which says no format" if path.suffix else "says no format"
        raise InputError(f"{path} {suffix}: name the format, one of {', '.join(NAMES)}.", arguments=("target_format",))
    raise InputError(f"{path} may become {_listed(found)}: name the format.", arguments=("target_format",))


def _by_suffix(path: Path) -> list[Format]:
    """Formats of this suffix; a name without one is a folder."""
    suffix = path.suffix.lower()
    if not suffix:
        return [entry for entry in FORMATS if not entry.suffixes]
    return [entry for entry in FORMATS if suffix in entry.suffixes]


def _listed(formats: list[Format]) -> str:
    names = [f"{entry.name} ({entry.title})" for entry in formats]
    return f"{', '.join(names[:-1])} or {names[-1]}"
