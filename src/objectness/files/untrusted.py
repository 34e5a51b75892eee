"""Files that others made: only regular files are opened, and what they may cost is bounded.

A data set, a proposals file or a model from somebody else may name a pipe or a device, hold a text of gigabytes where
a few lines are expected, or nest brackets a million deep. Whatever reads such files goes through this module, so that
each of these ends in one sentence.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from objectness.errors import InputError

MOST_TEXT_BYTES = 64 << 20
"""The size of a text file beyond which it is no label file, list, XML annotation or YAML that anybody wrote."""


def regular_file(path: Path | str) -> Path:
    """The path, if a regular file lies there (links are followed).

    Raises:
        InputError: there is nothing, a folder, a pipe or a device, or the name is none that a file can have.
    """
    try:
        mode = Path(path).stat().st_mode
    except FileNotFoundError:
        raise InputError(f"{path} is missing: there is no such file; check the path.") from None
    except (OSError, ValueError) as error:  # a closed folder above it, a name too long; a zero byte in it
        reason = getattr(error, "strerror", None) or "no file can have this name"
        raise InputError(f"{str(path)[:200]!a} cannot be opened ({reason}).") from None
    if stat.S_ISDIR(mode):
        raise InputError(f"{path} is a folder, where a file was expected.")
    if not stat.S_ISREG(mode):
        raise InputError(f"{path} is a pipe or a device, not a regular file: save its content to a file first.")
    return Path(path)


def read_bytes(path: Path | str, most: int | None = MOST_TEXT_BYTES) -> bytes:
    """The whole content of a regular file.

    Args:
        path: The file.
        most: Refuse more bytes than this; None for no limit.

    Raises:
        InputError: see :func:`regular_file`; it cannot be read, or it is larger than ``most``.
    """
    file = regular_file(path)
    try:
        with file.open("rb") as opened:
            content = opened.read() if most is None else opened.read(most + 1)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}).") from None
    except MemoryError:
        raise InputError(f"{path} does not fit into memory.") from None
    if most is not None and len(content) > most:
        raise InputError(f"{path} is larger than {most:,} bytes, more than a file of this kind ever needs.")
    return content


def read_text(path: Path | str, most: int | None = MOST_TEXT_BYTES) -> str:
    """The whole content of a UTF-8 text file, without a byte order mark; raises as :func:`read_bytes`.

    Raises:
        InputError: it is not UTF-8 text.
    """
    return _decoded(read_bytes(path, most), str(path))


def parse_json(text: str | bytes, where: str, object_hook: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """Parse a JSON document.

    Args:
        text: The document; bytes are UTF-8, with or without a byte order mark.
        where: What to call it in messages.
        object_hook: As in :func:`json.loads`.

    Raises:
        InputError: it is not UTF-8 or not JSON, it is nested too deeply, or holds a number of thousands of digits.
    """
    if isinstance(text, bytes):
        text = _decoded(text, where)
    try:
        return json.loads(text, object_hook=object_hook)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{where} is not valid JSON (line {error.lineno}, column {error.colno}: {error.msg}): "
            "was it copied or downloaded whole?"
        ) from None
    except RecursionError:
        raise InputError(f"{where} is not JSON that can be read: its brackets are nested too deeply.") from None
    except MemoryError:
        raise InputError(f"{where} does not fit into memory.") from None
    except ValueError:
        raise InputError(f"{where} is not JSON that can be read: a number has thousands of digits.") from None


def load_json(path: Path | str, object_hook: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """Parse a JSON file of any size; raises as :func:`read_bytes` and :func:`parse_json`."""
    return parse_json(read_bytes(path, None), str(path), object_hook)


def is_inside(path: Path | str, folder: Path | str) -> bool:
    """Whether a path lies in a folder or below it (or is the folder), links followed; neither needs to exist."""
    try:
        inner, outer = os.path.realpath(path), os.path.realpath(folder)
        return os.path.commonpath([inner, outer]) == outer
    except (OSError, ValueError):  # a name that no file can have; two drives
        return False


def _decoded(content: bytes, where: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{where} is not UTF-8 text (byte {error.start + 1}): save it as UTF-8.") from None
