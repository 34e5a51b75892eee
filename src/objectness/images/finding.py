"""Which files are photographs: those that a user names (a photo, folder, pattern or list), and those of a folder."""

# ruff: noqa: PTH110, PTH112, PTH113, PTH207
# os.path answers False where Path raises: for closed folders, and for names that no file can have.

from __future__ import annotations

import glob
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path

from objectness.errors import InputError
from objectness.files.untrusted import read_text
from objectness.images.headers import can_read_heif

HEIF_SUFFIXES = frozenset({".heic", ".heif", ".hif"})
PHOTO_SUFFIXES = (
    frozenset({".apng", ".avif", ".bmp", ".dib", ".gif", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".mpo"})
    | {".pbm", ".pfm", ".pgm", ".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp"}
    | HEIF_SUFFIXES
)

DRAWN_SUFFIX = ".proposals"
"""Comes before the suffix of every picture that we draw, so that a search never takes it for a photograph."""

HIDDEN, DRAWN, NO_SUFFIX = "hidden", "drawn", "no suffix"


@dataclass(frozen=True)
class Walked:
    """Files of a folder and its subfolders.

    Attributes:
        images: Its images, sorted.
        passed_over: Kind -> how many files were not taken. A kind is a suffix (".mp4"), "hidden", "drawn" (pictures
            of proposals) or "no suffix".
        closed: Folders that could not be read, with the reason.
    """

    images: tuple[Path, ...]
    passed_over: Mapping[str, int] = field(default_factory=dict)
    closed: Mapping[Path, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """The photographs that a user means.

    Attributes:
        photos: In the order of the sources, each once; a missing file among them, to fail like the others that do.
        passed_over: As of :class:`Walked`.
        failed: Source or folder -> why nothing could be taken from it, in one sentence.
    """

    photos: tuple[Path, ...]
    passed_over: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)


def find_photos(sources: Sequence[str]) -> Found:
    """Expand sources, in their order; a file that is named twice comes once.

    A file is a photograph, whatever its suffix; a ``.txt`` file is a list of photographs, one path a line,
    taken from the list's own folder, else from the working folder. A folder stands for every photograph in it
    and in its subfolders, linked ones too, sorted; a pattern (``*``, ``?``, ``[``, ``**``) for the photographs that
    match, sorted. Both leave out hidden files and pictures that ``objectness propose`` drew (``*.proposals.jpg``).

    Args:
        sources: As typed.

    Raises:
        InputError: None of the sources holds a photograph; with others beside it, one that holds none is in ``failed``.
    """
    unique: dict[str, Path] = {}
    passed_over: Counter[str] = Counter()
    failed: dict[str, str] = {}
    for source in sources:
        if reason := _no_path(source):
            failed[source] = reason
            continue
        try:
            walked = _expand(source, failed)
        except InputError as error:
            failed[source] = str(error)
            continue
        for path in walked.images:
            unique.setdefault(real_path(path), path)
        passed_over.update(walked.passed_over)
        for folder, why in walked.closed.items():
            failed[str(folder)] = f"{folder}: the folder cannot be read ({why}); what is in it was passed over."
    found = list(unique.values())
    if not any(os.path.lexists(path) for path in found):
        if failed:
            raise InputError(next(iter(failed.values())))
        names = ", ".join(str(path) for path in found[:3]) + (", ..." if len(found) > 3 else "")
        raise InputError(f"There is no such file: {names}; check the path." if found else "Name a photograph.")
    return Found(tuple(found), dict(sorted(passed_over.items())), failed)


def describe_skipped(found: Found) -> list[str]:
    """Sentences on the files that were left out."""
    return [*found.failed.values(), *([not_taken(found.passed_over)] if found.passed_over else [])]


def not_taken(kinds: Mapping[str, int]) -> str:
    """The files of folders that are no photographs that can be read, by kind, in one sentence."""
    hint = " (pillow-heif, where installed, reads HEIF)" if HEIF_SUFFIXES.intersection(kinds) else ""
    return f"Not taken: {counted(kinds)}{hint}."


def walk(folder: Path) -> Walked:
    """Every image in a folder and its subfolders.

    Links to folders are followed, each folder is visited once, and its own place comes before the links to it: loops
    end. Hidden folders are left out.
    """
    closed: dict[Path, str] = {}
    return _sorted_out(_visit(folder, closed), closed)


def _visit(folder: Path, closed: dict[Path, str]) -> Iterator[Path]:
    """Every file of :func:`walk`, and the hidden folders in place of their content."""
    visited: set[str] = set()
    waiting, linked = [folder], list[Path]()
    while waiting or linked:
        place = waiting.pop() if waiting else linked.pop(0)
        real = real_path(place)
        if real in visited:
            continue
        visited.add(real)
        try:
            entries = sorted(os.scandir(place), key=lambda entry: entry.name)
        except OSError as error:
            closed[place] = error.strerror or type(error).__name__
            continue
        for entry in entries:
            path = place / entry.name
            if not entry.name.startswith(".") and os.path.isdir(path):
                (linked if entry.is_symlink() else waiting).append(path)
            else:
                yield path


def _sorted_out(files: Iterable[Path], closed: Mapping[Path, str]) -> Walked:
    images: list[Path] = []
    passed_over: Counter[str] = Counter()
    for path in files:
        kind = _kind_not_taken(path)
        if kind is None:
            images.append(path)
        else:
            passed_over[kind] += 1
    return Walked(tuple(sorted(images)), passed_over, closed)


def is_image(path: Path) -> bool:
    """Whether the name is a photograph's: hidden files (macOS writes ``._photo.jpg``) and drawn pictures are none."""
    return _kind_not_taken(path) is None


def real_path(path: Path | str) -> str:
    """The path with all links followed; as it is, where no file can have this name."""
    try:
        return os.path.realpath(path)
    except (OSError, ValueError):
        return str(path)


def _kind_not_taken(path: Path) -> str | None:
    """Kind under which a file is counted that is no photograph; None for a photograph."""
    suffix = path.suffix.lower()
    if path.name.startswith("."):
        return HIDDEN
    if suffix not in PHOTO_SUFFIXES:
        return suffix or NO_SUFFIX
    return DRAWN if path.stem.endswith(DRAWN_SUFFIX) else None


def _no_path(source: str) -> str | None:
    """A sentence where the source is something else than a path."""
    if not source:
        return "An empty name was given; name a photograph."
    if source == "-":
        return (
            "-: photographs are not read from standard input; save the photograph to a file, or the list of paths to "
            "a .txt file, and name that."
        )
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", source) and not os.path.lexists(source):
        return f"{source}: is an address, and nothing is fetched from the network; download it and name the file."
    return None


def _expand(source: str, failed: dict[str, str]) -> Walked:
    path = Path(source)
    if os.path.isdir(source):
        walked = _readable(walk(path))
        if not walked.images and not walked.closed:
            known = " ".join(sorted(PHOTO_SUFFIXES - (frozenset() if can_read_heif() else HEIF_SUFFIXES)))
            there = f", but {counted(walked.passed_over)}" if walked.passed_over else ""
            raise InputError(f"{path}: there is no photograph in this folder{there} (looked for {known}).")
        return walked
    if path.suffix.lower() == ".txt" and os.path.isfile(source):
        return Walked(tuple(_read_list(path, failed)))
    if glob.has_magic(source) and not os.path.lexists(source) and _can_be_a_name(source):
        return _matching(source)
    return Walked((path,))


def counted(kinds: Mapping[str, int]) -> str:
    """Kinds and their numbers in words, most first: "3 .mp4, 1 hidden"."""
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items(), key=lambda item: (-item[1], item[0])))


def _matching(pattern: str) -> Walked:
    closed: dict[Path, str] = {}
    walked = _readable(_sorted_out(_files_matching(pattern, closed), closed))
    if not walked.images:
        there = f", but {counted(walked.passed_over)}" if walked.passed_over else ""
        raise InputError(f"{pattern}: no photograph matches this pattern{there}.")
    return walked


def _files_matching(pattern: str, closed: dict[Path, str]) -> Iterator[Path]:
    """The files of a pattern; ``**`` stands for the folders that :func:`walk` visits, so that loops of links end."""
    parts = Path(pattern).parts
    if "**" not in parts:
        yield from (Path(match) for match in glob.iglob(pattern) if not os.path.isdir(match))
        return
    at = parts.index("**")
    start = str(Path(*parts[:at]))
    for folder in sorted(glob.iglob(start)) if glob.has_magic(start) else [start]:
        for path in _visit(Path(folder), closed):
            if not path.name.startswith(".") and _fits(path.relative_to(folder).parts, parts[at:]):
                yield path


def _fits(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_fits(parts[skipped:], pattern[1:]) for skipped in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])


def _readable(walked: Walked) -> Walked:
    """Without the HEIF photographs, where nothing can read them."""
    if can_read_heif():
        return walked
    passed_over = Counter(walked.passed_over)
    passed_over.update(path.suffix.lower() for path in walked.images if path.suffix.lower() in HEIF_SUFFIXES)
    images = tuple(path for path in walked.images if path.suffix.lower() not in HEIF_SUFFIXES)
    return replace(walked, images=images, passed_over=dict(passed_over))


def _can_be_a_name(source: str) -> bool:
    try:
        return b"\0" not in os.fsencode(source)
    except ValueError:  # half a letter
        return False


def _read_list(path: Path, failed: dict[str, str]) -> list[Path]:
    names = [line for line in map(str.strip, read_text(path).split("\n")) if line and not line.startswith("#")]
    if not names:
        raise InputError(f"{path}: the list names no photograph; write one path a line.")
    no_paths = {name: reason for name in names if (reason := _no_path(name))}
    failed.update(no_paths)
    return [_listed(name, path.parent) for name in names if name not in no_paths]


def _listed(name: str, folder: Path) -> Path:
    near = folder / name
    return Path(name) if os.path.exists(name) and not os.path.exists(near) else near
