"""JSON from strangers: loading it, taking values out of it, and writing lists that do not fit into memory."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from objectness.errors import InputError
from objectness.files.untrusted import load_json

_LARGEST_ID = 10**40
_NAMES = {list: "a list", dict: "a JSON object", str: "text", bool: "true or false", type(None): "null"}


def load(path: Path, object_hook: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """Parse a file; raises ``InputError`` as :func:`objectness.files.untrusted.load_json`."""
    return load_json(path, object_hook)


def kind(value: Any) -> str:
    """What a JSON value is, in words."""
    return _NAMES.get(type(value), "a number")


def shown(value: Any) -> str:
    """A value as it may stand in a message, cut short."""
    if isinstance(value, int) and abs(value) >> 200:
        return "a number of more than sixty digits"  # which Python may refuse to write out
    try:
        return reprlib.repr(value)
    except (ValueError, RecursionError):
        return kind(value)


def number(value: Any) -> float | None:
    """A number as it stands, NaN and infinity included; None for everything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def score(entry: dict[str, Any], key: str, path: Path, where: str) -> float | None:
    """The number that an object has under ``key``, written as text or not; None where it has none or null.

    Raises:
        InputError: there is something else, which must not pass for a proposal without a score.
    """
    value = entry.get(key)
    found = number(value) if not isinstance(value, str) else _number_of(value)
    if found is None and value is not None:
        raise InputError(f"{path}: {where} has the {key} {shown(value)}, which is no number.")
    return found


def numbers(value: Any, count: int) -> list[float] | None:
    """A list of exactly ``count`` numbers, or None."""
    if not isinstance(value, list) or len(value) != count:
        return None
    found = [parsed for item in value if (parsed := number(item)) is not None]
    return found if len(found) == count else None


def image_id(value: Any) -> int | str | None:
    """An id: text, or a whole number (some tools write 25.0 for 25); None for everything else.

    Floats beyond 2^53 skip numbers and are no ids.
    """
    if isinstance(value, str):
        return value
    if type(value) is int:
        return value if abs(value) < _LARGEST_ID else None
    parsed = number(value)
    if parsed is None or not abs(parsed) <= 2**53 or parsed != int(parsed):
        return None
    return int(value)


def side(value: Any) -> int:
    """The width or height of an image in pixels (640, 640.0 or "640"), 0 where it is none that can be."""
    parsed = _number_of(value) if isinstance(value, str) else number(value)
    return int(parsed) if parsed is not None and 0 < parsed < 2**31 and parsed.is_integer() else 0


def size_hw(entry: Any) -> tuple[int, int] | None:
    """(height, width) from the keys "height" and "width"; None where one of them says nothing."""
    if not isinstance(entry, dict):
        return None
    height, width = side(entry.get("height")), side(entry.get("width"))
    return (height, width) if height and width else None


def _number_of(text: str) -> float | None:
    try:
        return float(text) if len(text) < 400 else None
    except ValueError:
        return None


def text(value: Any) -> str | None:
    """Text that is not empty, or None."""
    return value if isinstance(value, str) and value else None


def metadata(value: Any) -> dict[str, str]:
    """An object of plain values as words."""
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
    """An object whose last member is a long list: pieces of text in order."""
    opening = json.dumps(head)
    yield f"{opening[:-1]}{', ' if head else ''}{json.dumps(key)}: ["
    for position, line in enumerate(lines):
        yield f"{',' if position else ''}\n{line}"
    yield "\n]}\n"


def box_text(values: Sequence[float]) -> str:
    """Four numbers as a JSON list."""
    return f"[{', '.join(repr(value) for value in values)}]"
