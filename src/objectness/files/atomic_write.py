"""Write a file so that it appears whole or not at all, and never in the place of what is being read.

Every file that the package writes goes through this module: text and bytes through :func:`replacing` and
:func:`replacing_bytes`, files that a library writes by path through :func:`placing`, folders of files through
:func:`filling`. What is unfinished lies beside its place under a hidden name (``.objectness-...``); one that a killed
process left is removed by the next one that writes into the folder.
"""

from __future__ import annotations

import errno
import itertools
import os
import platform
import shutil
import stat
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import BinaryIO, TextIO

from objectness.errors import InputError

_PREFIX = ".objectness-"
_numbers = itertools.count()
_swept: set[str] = set()
_protected: ContextVar[frozenset[tuple[int, int]]] = ContextVar("protected", default=frozenset())


@contextmanager
def replacing(path: Path, *, newline: str | None = None) -> Iterator[TextIO]:
    """A UTF-8 text file that takes the place of ``path`` only when everything was written.

    What was there stays when the writing fails half-way. The folder is made where it is missing.

    Args:
        path: Where it appears.
        newline: As in :func:`open`.

    Raises:
        InputError: the place cannot be written to, or is that of an input (see :func:`protecting`).
    """
    with placing(path) as temporary, temporary.open("w", encoding="utf-8", newline=newline) as file:
        yield file


@contextmanager
def replacing_bytes(path: Path) -> Iterator[BinaryIO]:
    """The same for a file of bytes."""
    with placing(path) as temporary, temporary.open("wb") as file:
        yield file


@contextmanager
def placing(path: Path) -> Iterator[Path]:
    """The same for a library that writes by path: gives the path, of the same suffix, to write to.

    The file gets the permissions of any new file (the umask's), whatever the library gives it. A pipe or a device is
    written to at the end instead of being replaced.
    """
    try:
        is_special = _is_special(path)
        folder = Path(tempfile.gettempdir()) if is_special else path.parent
        folder.mkdir(parents=True, exist_ok=True)
        refuse_input(path)  # now, as new/../a.txt is a.txt only once the folder is there
        temporary = _temporary(folder, path.suffix)
        try:
            with temporary.open("xb"):
                mode = stat.S_IMODE(temporary.stat().st_mode)
            yield temporary
            if is_special:
                _copy_into(temporary, path)
                return
            if stat.S_IMODE(temporary.stat().st_mode) != mode:
                temporary.chmod(mode)
            temporary.replace(path)
        finally:
            with suppress(OSError):  # gone when all went well
                temporary.unlink()
    except OSError as error:
        raise unwritable(path, error) from None
    except UnicodeEncodeError as error:
        raise InputError(
            f"{path} cannot be written: {error.object[:40]!r} holds letters that no text file can."
        ) from None


@contextmanager
def filling(folder: Path) -> Iterator[Path]:
    """A folder of files that appears whole or not at all: gives a hidden folder beside it to write into.

    Args:
        folder: A new folder, or an empty one.

    Raises:
        InputError: there is something in the folder, or the place cannot be written to.
    """
    try:
        if os.path.lexists(folder) and not (folder.is_dir() and not any(folder.iterdir())):
            raise InputError(f"{folder} is there and not empty: name a new folder.")
        is_new = not folder.is_dir()
        where = folder.parent if is_new else folder
        where.mkdir(parents=True, exist_ok=True)
        temporary = _temporary(where, "")
        try:
            temporary.mkdir()
            with _under_its_name(temporary, folder):
                yield temporary
            if is_new:
                temporary.rename(folder)
            else:
                for made in temporary.iterdir():
                    made.rename(folder / made.name)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise unwritable(folder, error) from None


@contextmanager
def protecting(inputs: Iterable[Path | str]) -> Iterator[None]:
    """Let nothing be written in the place of these files, under whatever name, until the block ends.

    Args:
        inputs: Files; those that are not there, and folders, are passed over.
    """
    token = _protected.set(_protected.get() | {found for path in inputs if (found := _identity(path))})
    try:
        yield
    finally:
        _protected.reset(token)


def refuse_input(path: Path) -> None:
    """Raise InputError where ``path`` is one of the files that are protected, under this name or another."""
    if (protected := _protected.get()) and _identity(path) in protected:
        raise InputError(f"{path} is an input and would be overwritten: name another place.")


def require_place(path: Path) -> None:
    """Find out before the work whether a file can be written there; leaves nothing behind but its folder.

    Raises:
        InputError: as :func:`replacing`.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if _is_special(path):
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        refuse_input(path)
        temporary = _temporary(path.parent, path.suffix)
        try:
            temporary.open("xb").close()
        finally:
            with suppress(OSError):
                temporary.unlink()
        with suppress(FileNotFoundError):
            path.lstat()  # a name that is too long
    except OSError as error:
        raise unwritable(path, error) from None


@contextmanager
def _under_its_name(temporary: Path, folder: Path) -> Iterator[None]:
    """Let errors name the folder that the user knows."""
    try:
        yield
    except InputError as error:
        message = str(error).replace(str(temporary), str(folder))
        raise InputError(message, arguments=error.arguments) from None


def _identity(path: Path | str) -> tuple[int, int] | None:
    """Identity of a file, whatever its name; None if there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116
    except (OSError, ValueError):
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else None


def _temporary(folder: Path, suffix: str) -> Path:
    """A new hidden name in the folder, which says whose it is; those of processes that are gone are removed."""
    host = _host()
    where = os.path.realpath(folder)
    if where not in _swept:
        _swept.add(where)
        _sweep(folder, host)
    return folder / f"{_PREFIX}{host}-{os.getpid()}-{next(_numbers)}{suffix[:16]}"


def _host() -> str:
    return f"{zlib.crc32(platform.node().encode('utf-8', 'replace')):08x}"


def _sweep(folder: Path, host: str) -> None:
    """Remove what processes of this machine left that are gone."""
    if os.name == "nt":  # asking for a process ends it there
        return
    with suppress(OSError):
        for name in os.listdir(folder):  # noqa: PTH208
            if not name.startswith(f"{_PREFIX}{host}-"):
                continue
            number = name.removeprefix(f"{_PREFIX}{host}-").partition("-")[0]
            if not number.isdecimal() or _is_running(int(number)):
                continue
            left = folder / name
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left, ignore_errors=True)
            else:
                with suppress(OSError):
                    left.unlink()


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _is_special(path: Path) -> bool:
    """Whether a pipe or a device is there."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def _copy_into(source: Path, target: Path) -> None:
    with source.open("rb") as whole, target.open("wb") as place:
        shutil.copyfileobj(whole, place)


def unwritable(path: Path, error: OSError) -> InputError:
    """The sentence about a place where nothing can be written, to be raised."""
    return InputError(f"{path} cannot be written ({error.strerror or error}): name another place or make room there.")
