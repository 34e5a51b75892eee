"""Lookup of the files that an annotation names: only in the data set's own folder, unless more is allowed.

Names in an annotation may come from an attacker: ``../../.ssh/id_rsa`` and ``/etc/passwd`` are names too. So a name
counts only where it stays in the data set's folder, the one that the user gave (or that holds the given file). Links
are followed: they belong to the file system, not to the annotation.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from objectness.errors import InputError
from objectness.files.untrusted import is_inside
from objectness.images.sizes import is_file

_SHOWN = 100


@dataclass(frozen=True)
class Boundary:
    """Folders that the names in a data set may lead to.

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
        """The error for a file that names a place outside."""
        shown = name if len(name) <= _SHOWN else f"{name[:_SHOWN]}..."
        return InputError(
            f"{where} names {shown!a}, which lies outside of the data set's folder {self.folder}: "
            "if you trust the data set, allow it with allow_outside.",
            arguments=("allow_outside",),
        )


def home_of(path: Path) -> Path:
    """The data set's folder for a given folder or file; an ``annotations/`` folder belongs to the one above."""
    folder = path if path.is_dir() else path.parent
    return folder.parent if is_annotation_folder(folder) else folder


def is_annotation_folder(folder: Path) -> bool:
    """Whether annotations lie in a folder of their own, with the images beside it."""
    return folder.name.lower().startswith(("annotation", "label"))


class Locator:
    """Lookup of the names in one file of a data set: in its folders in turn, as written and then as spelled elsewhere.

    Args:
        file: The file that holds the names; for messages.
        folders: At least one. The last that held something is tried first the next time.
        boundary: How far the names may lead.
        keep_order: The folders are always tried in their order.
    """

    def __init__(self, file: Path, folders: Sequence[Path], boundary: Boundary, *, keep_order: bool = False) -> None:
        self._file = file
        self._folders = list(folders)
        self._boundary = boundary
        self._keep_order = keep_order
        self._adapted: list[str] = []

    def find(
        self,
        name: str,
        *,
        near: Sequence[Path] = (),
        aliases: Sequence[str] = (),
        accept: Callable[[Path], bool] = is_file,
    ) -> Path | None:
        """The file (or what else to ``accept``) of that name; None where there is none.

        Args:
            name: As written.
            near: Folders to try before the others.
            aliases: Further names that mean the same.
            accept: Whether a path is of the kind that is wanted.

        Raises:
            InputError: it lies outside of the data set's folder.
        """
        found, outside = self._look_for([name, name.replace("\\", "/"), *aliases], near, accept)
        if found is None:
            found, _ = self._look_for(other_spellings(name), near, accept)
            self._adapted += [name] if found is not None else []
        if found is None and outside:
            raise self._boundary.refusal(self._file, name)
        return found

    def expected(self, name: str) -> Path:
        """The place where a file that was not found ought to be."""
        return self._folders[0] / name

    def _look_for(
        self, names: Iterable[str], near: Sequence[Path], accept: Callable[[Path], bool]
    ) -> tuple[Path | None, bool]:
        """The first place, and whether one lies outside."""
        outside = False
        for name in dict.fromkeys(names):
            for folder in (*near, *self._folders):
                path = normal_path(folder / name)
                if not self._boundary.admits(path):
                    outside |= accept(path) or (exists(path) and not path.is_dir())
                elif accept(path):
                    if not self._keep_order and folder in self._folders[1:]:
                        self._folders.remove(folder)
                        self._folders.insert(0, folder)
                    return path, False
        return None, outside

    def notes(self) -> tuple[str, ...]:
        """One sentence about the names that were found under another spelling, where there are any."""
        if not self._adapted:
            return ()
        first = self._adapted[0] if len(self._adapted[0]) <= _SHOWN else f"{self._adapted[0][:_SHOWN]}..."
        return (
            f"{self._file} names {len(self._adapted)} files or folders by addresses or by places on another machine, "
            f"the first {first!a}: those of these names in {self._folders[0]} were taken.",
        )


def normal_path(path: Path) -> Path:
    """The path without ``.`` and ``..``."""
    return Path(os.path.normpath(path))


def other_spellings(name: str) -> Iterator[str]:
    """Local names for an address, an escaped name or an absolute path of another machine.

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
    """Whether a file or folder lies there; False, and no error, for a name that no file can have."""
    return os.path.lexists(path) and os.path.exists(path)  # noqa: PTH110
