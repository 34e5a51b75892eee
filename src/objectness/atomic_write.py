"""Write a file so that it appears whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TextIO

from objectness.errors import InputError


@contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """A UTF-8 text file that takes the place of ``path`` only when everything was written.

    What was there stays when the writing fails half-way. The folder is made where it is missing.

    Raises:
        InputError: the place cannot be written to.
    """
    with _beside(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        yield file


@contextmanager
def replacing_bytes(path: Path) -> Iterator[BinaryIO]:
    """The same for a file of bytes."""
    with _beside(path) as temporary, temporary.open("wb") as file:
        yield file


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror or error}): name another place or make room there."
        ) from error
    except UnicodeEncodeError as error:
        raise InputError(
            f"{path} cannot be written: {error.object[:40]!r} holds letters that no text file can."
        ) from error
    finally:
        with suppress(OSError):  # it is gone when all went well, and its folder may be what could not be made
            temporary.unlink()
