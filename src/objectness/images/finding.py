"""What a user names on the command line (a photo, folder, pattern or list) as the photographs behind it."""

# ruff: noqa: PTH110, PTH112, PTH113, PTH207
# os.path answers False where Path raises: for closed folders, and for names that are too long.

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from objectness.errors import InputError
from objectness.images.opening import PHOTO_SUFFIXES

DRAWN_SUFFIX = ".proposals"
"""Comes before the suffix of every picture that we draw, so that a search never takes it for a photograph."""


def find_photos(sources: Sequence[str]) -> list[Path]:
    """Expand sources, in their order; a file that is named twice comes once.

    A file is a photograph, whatever its suffix; a ``.txt`` file is a list of photographs, one path a line,
    taken from the list's own folder, else from the working folder. A folder stands for every photograph in it
    and in its subfolders, sorted; a pattern (``*``, ``?``, ``[``, ``**``) for the photographs that match,
    sorted. Both leave out hidden files and what ``objectness propose`` drew (``*.proposals.jpg``). A missing
    file stays in the result, to be reported with the others that fail.

    Args:
        sources: As typed.

    Raises:
        InputError: A folder, pattern or list that holds no photograph or cannot be read; nothing that exists.
    """
    unique: dict[str, Path] = {}
    for source in sources:
        for path in _expand(source):
            unique.setdefault(os.path.realpath(path), path)
    found = list(unique.values())
    if not any(os.path.lexists(path) for path in found):
        names = ", ".join(str(path) for path in found[:3]) + (", ..." if len(found) > 3 else "")
        raise InputError(f"There is no such file: {names}; check the path." if found else "Name a photograph.")
    return found


def _expand(source: str) -> list[Path]:
    path = Path(source)
    if os.path.isdir(source):
        photos = sorted(_walk(path))
        if not photos:
            known = " ".join(sorted(PHOTO_SUFFIXES))
            raise InputError(f"{path}: there is no photograph in this folder (looked for {known}).")
        return photos
    if path.suffix.lower() == ".txt" and os.path.isfile(source):
        return _read_list(path)
    if glob.has_magic(source) and not os.path.lexists(source):
        photos = sorted(match for match in map(Path, glob.glob(source, recursive=True)) if _is_photo(match))
        if not photos:
            raise InputError(f"{source}: no photograph matches this pattern.")
        return photos
    return [path]


def _walk(folder: Path) -> Iterator[Path]:
    def stop(error: OSError) -> None:
        raise InputError(f"{error.filename}: the folder cannot be read ({error.strerror}).") from None

    for root, folders, files in os.walk(folder, onerror=stop):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (path for path in (Path(root, name) for name in files) if _is_photo(path))


def _is_photo(path: Path) -> bool:
    hidden_or_drawn = path.name.startswith(".") or path.stem.endswith(DRAWN_SUFFIX)
    return path.suffix.lower() in PHOTO_SUFFIXES and not hidden_or_drawn and not path.is_dir()


def _read_list(path: Path) -> list[Path]:
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").split("\n")]
    except UnicodeDecodeError:
        raise InputError(f"{path}: a list of photographs is UTF-8 text, one path a line; save it so.") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None
    names = [line for line in lines if line and not line.startswith("#")]
    if not names:
        raise InputError(f"{path}: the list names no photograph; write one path a line.")
    return [_listed(name, path.parent) for name in names]


def _listed(name: str, folder: Path) -> Path:
    near = folder / name
    return Path(name) if os.path.exists(name) and not os.path.exists(near) else near
