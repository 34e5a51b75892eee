"""Values of JSON and XML documents in every spelling that tools use; lists too large for memory are written piecewise.

One rule for ground truth and proposals: a number is a JSON number (or text that spells one, where :func:`spelled` is
used), an id is text or a whole number, a side of an image is a whole number of pixels.
"""

from __future__ import annotations

import json
import math
import reprlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from objectness.errors import InputError
from objectness.files.untrusted import load_json

LARGEST_ID = 10**40
_LARGEST_SIDE_PX = 2**31 - 1  # no image format can store a larger one
_KINDS = {list: "a list", dict: "a JSON object", str: "text", bool: "true or false", type(None): "null"}
_NO = frozenset({"", "false", "f", "no", "n", "off", "none", "null", "unspecified", "unknown"})
_YES = frozenset({"true", "t", "yes", "y", "on"})


def load(path: Path, object_hook: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """Parse a file; raises ``InputError`` as :func:`objectness.files.untrusted.load_json`."""
    return load_json(path, object_hook)


def kind(value: Any) -> str:
    """The type of a JSON value, in words."""
    return _KINDS.get(type(value), "a number")


def shown(value: Any) -> str:
    """A value as it may stand in a message, cut short."""
    if isinstance(value, int) and abs(value) >> 200:
        return "a number of more than sixty digits"  # which Python may refuse to write out
    try:
        return reprlib.repr(value)
    except (ValueError, RecursionError):
        return kind(value)


def number(value: Any) -> float | None:
    """A JSON number, NaN and infinity included (integers too large for a float are infinite); None for others."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def spelled(value: Any) -> float | None:
    """A number, also one that is written as text; None for everything else."""
    if not isinstance(value, str):
        return number(value)
    try:
        return float(value)
    except ValueError:
        return None


def score(entry: Mapping[str, Any], key: str, path: Path, where: str) -> float | None:
    """The number that an object has under ``key``, written as text or not; None where it has none or null.

    Raises:
        InputError: there is something else, which must not pass for a proposal without a score.
    """
    value = entry.get(key)
    found = spelled(value)
    if found is None and value is not None:
        raise InputError(f"{path}: {where} has the {key} {shown(value)}, which is no number.")
    return found


def numbers(value: Any, count: int) -> list[float] | None:
    """A list of exactly ``count`` numbers, or None."""
    if not isinstance(value, list) or len(value) != count:
        return None
    found = [parsed for item in value if (parsed := number(item)) is not None]
    return found if len(found) == count else None


def flag(value: Any) -> bool | None:
    """A flag (1, 1.0, "1", "true"), false where there is nothing (null, ""); None for other values."""
    if value is None:
        return False
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        word = value.strip().lower()
        if word in _NO or word in _YES:
            return word in _YES
    found = spelled(value)
    return None if found is None or math.isnan(found) else found != 0


def image_id(value: Any) -> int | str | None:
    """An id: text, or a whole number of at most forty digits (some tools write 25.0 for 25); None for others.

    Floats beyond 2^53 skip numbers and are no ids.
    """
    if isinstance(value, str):
        return value
    if type(value) is int:
        return value if abs(value) < LARGEST_ID else None
    parsed = number(value)
    if parsed is None or not abs(parsed) <= 2**53 or not parsed.is_integer():
        return None
    return int(parsed)


def side(value: Any) -> int | None:
    """Width or height of an image in pixels (640, 640.0 or "640"); None for values that no image can have."""
    parsed = spelled(value)
    return int(parsed) if parsed is not None and 1 <= parsed <= _LARGEST_SIDE_PX and parsed.is_integer() else None


def size_hw(entry: Any) -> tuple[int, int] | None:
    """(height, width) from the keys "height" and "width"; None where one of them is missing or no side."""
    if not isinstance(entry, Mapping):
        return None
    height, width = side(entry.get("height")), side(entry.get("width"))
    return (height, width) if height and width else None


def text(value: Any) -> str | None:
    """Text that is not empty, or None."""
    return value if isinstance(value, str) and value else None


def metadata(value: Any) -> dict[str, str]:
    """An object of plain values, each as text."""
    if not isinstance(value, dict):
        return {}
    return {key: item if isinstance(item, str) else json.dumps(item) for key, item in value.items()}


def short(values: NDArray[Any]) -> list[float]:
    """float32 values as the shortest decimals that give them back."""
    return [float(f"{value:.9g}") for value in values.astype(np.float32).tolist()]


def write_list(file: TextIO, lines: Iterable[str]) -> None:
    """Write a JSON list, one entry a line, as the entries come."""
    file.write("[")
    for position, line in enumerate(lines):
        file.write(f"{',' if position else ''}\n{line}")
    file.write("\n]\n")


def object_lines(head: dict[str, Any], key: str, lines: Iterable[str]) -> Iterable[str]:
    """The text of an object whose last member is a long list, piece by piece."""
    opening = json.dumps(head)
    yield f"{opening[:-1]}{', ' if head else ''}{json.dumps(key)}: ["
    for position, line in enumerate(lines):
        yield f"{',' if position else ''}\n{line}"
    yield "\n]}\n"
