"""Names of images and classes in a layout that is written: such that every reader gives them back."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from objectness.images.damage import ImageError
from objectness.images.finding import DRAWN_SUFFIX, PHOTO_SUFFIXES
from objectness.images.headers import opened

# Line ends of all kinds, control characters, lone surrogates, byte order marks: no list of names survives them.
_NOT_IN_NAMES = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
# Most file systems take 255 bytes; a suffix, a number and the mark of a temporary file have to fit too.
_LONGEST_BYTES = 200
_SUFFIXES = {"JPEG": ".jpg", "MPO": ".jpg", "JPEG2000": ".jp2", "TIFF": ".tif", "PPM": ".ppm"}


def unique_file_names(paths: Sequence[Path]) -> dict[Path, str]:
    """A name for each image that no other has, suffix and case aside, and that every reader gives back.

    Its own, else with its folder before it, else numbered. Control characters become underscores, hidden files
    visible, and a file without the suffix of an image gets that of its format.
    """
    tidy = {path: safe_name(path.name) for path in paths}
    stems = {path: Path(name).stem for path, name in tidy.items()}
    times = Counter(stem.casefold() for stem in stems.values())
    taken: set[str] = set()
    names: dict[Path, str] = {}
    for path, own in stems.items():
        stem = own if times[own.casefold()] == 1 else safe_name(f"{path.parent.name}_{own}")
        number, unique = 2, stem
        while unique.casefold() in taken:
            unique, number = f"{stem}_{number}", number + 1
        taken.add(unique.casefold())
        names[path] = unique + _suffix(path, tidy[path])
    return names


def safe_name(name: str) -> str:
    """A file name without the characters that lists, XML and YAML lose; never empty."""
    tidy = _NOT_IN_NAMES.sub("_", name).strip()
    stem, dot, suffix = tidy.rpartition(".")
    if not dot:
        stem, suffix = tidy, ""
    if stem.endswith(DRAWN_SUFFIX):  # a search for photographs passes such pictures over
        stem = stem.replace(".", "_")
    while len(stem.encode()) > _LONGEST_BYTES:
        stem = stem[:-1]
    stem = stem.strip()
    if stem.startswith(".") or not stem:  # hidden
        stem = f"_{stem[1:]}"
    return f"{stem}{dot}{suffix}"


def safe_class_names(names: Sequence[str]) -> tuple[str, ...]:
    """Class names that survive lists, XML and YAML; no two different ones become one."""
    taken: set[str] = set()
    found: dict[str, str] = {}
    for name in dict.fromkeys(names):
        tidy = _NOT_IN_NAMES.sub("_", name).strip() or "unnamed"
        number, unique = 2, tidy
        while unique in taken:
            unique, number = f"{tidy}_{number}", number + 1
        taken.add(unique)
        found[name] = unique
    return tuple(found[name] for name in names)


def _suffix(path: Path, tidy: str) -> str:
    suffix = Path(tidy).suffix
    if suffix.lower() in PHOTO_SUFFIXES:
        return suffix
    try:
        with opened(path) as image:
            format_ = image.format or ""
    except ImageError:
        return suffix
    known = _SUFFIXES.get(format_, f".{format_.lower()}")
    return known if known in PHOTO_SUFFIXES else suffix
