"""All formats, one row each, and which of them a path is.

A format is a module with a ``FORMAT`` (``objectness.formats.core.spec``). It is imported when it is needed, so that
the command line knows all names without it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from objectness.errors import InputError, did_you_mean
from objectness.formats.core.sniffing import Content, existing_path, file_head, fits

if TYPE_CHECKING:
    from objectness.formats.core.spec import Format

# Name -> module, in the order in which sentences list them.
_MODULES = {
    "parquet": "objectness.formats.parquet",
    "coco-results": "objectness.formats.coco_results",
    "coco": "objectness.formats.coco_dataset",
    "yolo": "objectness.formats.yolo",
    "csv": "objectness.formats.csv_rows",
    "detectron2": "objectness.formats.detectron2",
    "detectron1": "objectness.formats.legacy.detectron1",
    "mmdet3": "objectness.formats.mmdet3",
    "mmdet2": "objectness.formats.mmdet2",
    "selective-search": "objectness.formats.legacy.selective_search",
    "hosang": "objectness.formats.legacy.hosang",
    "label-studio": "objectness.formats.label_studio",
    "cvat": "objectness.formats.cvat",
    "fiftyone": "objectness.formats.fiftyone",
    "geojson": "objectness.formats.geojson",
    "huggingface": "objectness.formats.huggingface",
    "sam": "objectness.formats.sam",
}
NAMES = tuple(_MODULES)


@cache
def format_named(name: str) -> Format:
    """The format of this name.

    Raises:
        InputError: there is none.
    """
    if name not in _MODULES:
        raise InputError(f"There is no format {name!r}: {did_you_mean(name, NAMES)}")
    declared: Format = import_module(_MODULES[name]).FORMAT
    return declared


def all_formats() -> Iterator[Format]:
    """Every format, in the order of ``NAMES``."""
    return map(format_named, NAMES)


@cache
def file_suffixes() -> frozenset[str]:
    """Suffixes of all files that hold proposals, alone or in a folder."""
    return frozenset(suffix for entry in all_formats() for suffix in (*entry.suffixes, *entry.parts))


def recognised_formats(path: Path) -> list[Format]:
    """The formats whose signature a file or folder has."""
    head = file_head(path)
    return [entry for entry in all_formats() if any(fits(head, signature) for signature in entry.signatures)]


def has_known_suffix(path: Path) -> bool:
    """Whether a file name ends as files of some format do."""
    return bool(path.suffix) and bool(_by_suffix(path))


def guess_source_format(path: Path) -> Format:
    """The format of a file or folder that is there: by its contents, then by its suffix.

    Raises:
        InputError: there is nothing; it is none of them, or may be several.
    """
    found = recognised_formats(existing_path(path))
    if not found and path.suffix and file_head(path).content is not Content.FOLDER:
        found = _by_suffix(path)
    if len(found) == 1:
        return found[0]
    if not found:
        raise InputError(
            f"{path} is no proposals file that is known: name its format, one of {', '.join(NAMES)}.",
            arguments=("source_format",),
        )
    raise InputError(f"{path} may be {_listed(found)}: name its format.", arguments=("source_format",))


def guess_target_format(path: Path) -> Format:
    """The format to write a path in: by its suffix, or by the file that it replaces.

    Raises:
        InputError: several formats have that suffix, or none.
    """
    found = _by_suffix(path)
    if len(found) == 1:
        return found[0]
    replaced = recognised_formats(path)
    if len(replaced) == 1:
        return replaced[0]
    if not found:
        suffix = f"ends in {path.suffix}, which says no format" if path.suffix else "says no format"
        raise InputError(f"{path} {suffix}: name the format, one of {', '.join(NAMES)}.", arguments=("target_format",))
    raise InputError(f"{path} may become {_listed(found)}: name the format.", arguments=("target_format",))


def _by_suffix(path: Path) -> list[Format]:
    """Formats of this suffix; a name without one is a folder."""
    suffix = path.suffix.lower()
    return [entry for entry in all_formats() if suffix in (entry.suffixes or ("",))]


def _listed(formats: list[Format]) -> str:
    names = [f"{entry.name} ({entry.title})" for entry in formats]
    return f"{', '.join(names[:-1])} or {names[-1]}"
