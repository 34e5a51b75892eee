"""Where the files lie that an annotation names: only in the data set's own folder, unless more is allowed.

What an annotation says was written by somebody else: ``../../.ssh/id_rsa`` and ``/etc/passwd`` are names too. So a
name counts only where it stays in the data set's folder, the one that the user named (or that holds the file that
he named). Links are followed: they belong to the file system, not to the annotation.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from objectness.errors import InputError
from objectness.files.untrusted import is_inside
from objectness.images.sizes import is_file

_SHOWN = 100


@dataclass(frozen=True)
class Boundary:
    """How far the names in a data set may lead.

    Attributes:
        folder: The data set's own.
        allow_outside: Names may lead anywhere.
    """

    folder: Path
    allow_outside: bool = False

    def admits(self, path: Path) -> bool:
        """Whether a path that was made from a name may be used."""
        if self.allow_outside:
            return True
        if path.is_relative_to(self.folder) and ".." not in path.relative_to(self.folder).parts:
            return True
        return is_inside(path, self.folder)

    def refusal(self, where: Path, name: str) -> InputError:
        """The error for a file that names something outside."""
        shown = name if len(name) <= _SHOWN else f"{name[:_SHOWN]}..."
        return InputError(
            f"{where} names {shown!a}, which lies outside of the data set's folder {self.folder}: "
            "if you trust the data set, allow it with allow_outside.",
            arguments=("allow_outside",),
        )


def home_of(path: Path) -> Path:
    """The folder of the data set that a user named: itself, or that of a file; ``annotations/`` belongs to its own."""
    folder = path if path.is_dir() else path.parent
    return folder.parent if is_annotation_folder(folder) else folder


def is_annotation_folder(folder: Path) -> bool:
    """Whether annotations lie in a folder of their own, with the images beside it."""
    return folder.name.lower().startswith(("annotation", "label"))


class Locator:
    """The images of one annotation file: tries the folders in turn, the last that held an image first.

    Attributes:
        adapted: Names that are addresses, or places on another machine, whose file was found in the folders all the
            same.
    """

    def __init__(self, annotation: Path, folders: Sequence[Path], boundary: Boundary) -> None:
        self._annotation = annotation
        self._folders = list(folders)
        self._boundary = boundary
        self.adapted: list[str] = []

    def __call__(self, name: str) -> Path:
        """The file of that name; where there is none, the place where it ought to be.

        Raises:
            InputError: it lies outside of the data set's folder.
        """
        outside = False
        for spelling in dict.fromkeys([name, name.replace("\\", "/")]):
            found, leaves = self._look_for(spelling)
            if found is not None:
                return found
            outside |= leaves
        for spelling in other_spellings(name):
            found, _ = self._look_for(spelling)
            if found is not None:
                self.adapted.append(name)
                return found
        if outside:
            raise self._boundary.refusal(self._annotation, name)
        return self._folders[0] / name

    def _look_for(self, name: str) -> tuple[Path | None, bool]:
        """The file, and whether something of this name lies outside."""
        leaves = False
        for index, folder in enumerate(self._folders):
            path = folder / name
            if not self._boundary.admits(path):
                leaves |= exists(path) and not path.is_dir()
            elif is_file(path):
                self._folders.insert(0, self._folders.pop(index))
                return path, False
        return None, leaves

    def note(self) -> tuple[str, ...]:
        """One sentence about the adapted names, where there are any."""
        if not self.adapted:
            return ()
        first = self.adapted[0] if len(self.adapted[0]) <= _SHOWN else f"{self.adapted[0][:_SHOWN]}..."
        return (
            f"{self._annotation} names {len(self.adapted)} images by addresses or by places on another machine, the "
            f"first {first!a}: the files of these names in {self._folders[0]} were taken.",
        )


def other_spellings(name: str) -> Iterator[str]:
    """What an address, an escaped name or an absolute path of another machine may be called here.

    The longest first: for ``https://example.com/val/a%20b.jpg`` ``val/a%20b.jpg``, ``val/a b.jpg``, ``a%20b.jpg``,
    ``a b.jpg``. A plain relative name has no other spelling: a file of the same name in another folder is another.
    """
    plain = name.replace("\\", "/")
    path = _address_path(plain)
    if path is None and not (plain.startswith("/") or re.match(r"[A-Za-z]:/", plain) or ".." in plain.split("/")):
        if unquote(plain) != plain:
            yield unquote(plain)
        return
    parts = [part for part in (plain if path is None else path).split("/") if part not in ("", ".", "..")]
    if parts and re.fullmatch(r"[A-Za-z]:", parts[0]):
        parts = parts[1:]
    for start in range(len(parts)):
        tail = "/".join(parts[start:])
        yield from dict.fromkeys([tail, unquote(tail)])


def _address_path(name: str) -> str | None:
    """The path of a URL (also of s3:// and the like); None for a name that is none."""
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", name):
        return None
    try:
        return urlsplit(name).path
    except ValueError:
        return name.partition("://")[2]


def exists(path: Path) -> bool:
    """Whether anything lies there; a name that no file can have is nothing, and no error."""
    return os.path.lexists(path) and os.path.exists(path)  # noqa: PTH110
