"""CSV as spreadsheets and data frames write it: any separator, decimal commas, a byte order mark, a ``sep=`` line."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from objectness.errors import InputError
from objectness.files.untrusted import read_bytes

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_SEP_LINE = re.compile('"?sep=([^\r\n])"?[\r\n]*', re.IGNORECASE)  # which Excel writes and obeys
_WITH_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")
_WITH_POINT = re.compile(r"[+-]?\d*\.\d+(?:[eE][+-]?\d+)?")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Sheet:
    """A table of text.

    Attributes:
        header: The words of the first row.
        rows: The others, without those that are empty.
        separator: What stands between the values.
    """

    header: list[str]
    rows: list[list[str]]
    separator: str


def read_sheet(path: Path, known_words: Callable[[Sequence[str]], int]) -> Sheet:
    """Read a whole table.

    Args:
        path: The file.
        known_words: How many columns of a header are known; the separator is the one that gives most.

    Raises:
        InputError: the file cannot be read, or is neither UTF-8 nor UTF-16 text.
    """
    content = read_bytes(path, None)
    try:
        text = content.decode(_encoding(content))
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is no CSV file that can be read: it is not UTF-8 text (byte {error.start + 1}); "
            "save it as UTF-8 (in Excel: CSV UTF-8)."
        ) from None
    separator, start, has_spaces = _dialect(text, known_words)
    try:
        rows = list(_rows(text[start:], separator, has_spaces))
    except csv.Error as error:
        raise InputError(f"{path} is no CSV file that can be read: {error}.") from None
    return Sheet(rows[0] if rows else [], rows[1:], separator)


def first_row(head: bytes, known_words: Callable[[Sequence[str]], int]) -> list[str]:
    """The header of a table of which only the beginning is at hand."""
    text = head.decode(_encoding(head), "replace")
    separator, start, has_spaces = _dialect(text, known_words)
    try:
        return next(_rows(text[start : start + 10_000], separator, has_spaces), [])
    except csv.Error:
        return []


def with_points(path: Path, columns: dict[str, list[str]], separator: str) -> bool:
    """Write decimal commas in columns of numbers as points, in place; whether there were any.

    Between commas a comma may as well part thousands: such numbers stay as they are.

    Raises:
        InputError: some numbers have a comma and others a point, so that one of them may part thousands.
    """
    if separator == ",":
        return False
    comma = next((cell for cells in columns.values() for cell in cells if _WITH_COMMA.fullmatch(cell)), None)
    if comma is None:
        return False
    point = next((cell for cells in columns.values() for cell in cells if _WITH_POINT.fullmatch(cell)), None)
    if point is not None:
        raise InputError(f"{path} has decimal commas ({comma}) and points ({point}): write all numbers one way.")
    for cells in columns.values():
        cells[:] = [cell.replace(",", ".") if _WITH_COMMA.fullmatch(cell) else cell for cell in cells]
    return True


def in_words(separator: str) -> str:
    """The name of a separator."""
    return _SEPARATORS.get(separator, repr(separator))


def _encoding(content: bytes) -> str:
    return "utf-16" if content[:2] in _UTF_16 else "utf-8-sig"


def _dialect(text: str, known_words: Callable[[Sequence[str]], int]) -> tuple[str, int, bool]:
    """Separator, where the header starts, and whether a space follows the separator."""
    start = len(text) - len(text.lstrip("\r\n\t "))
    said = _SEP_LINE.match(text, start)
    if said:
        return said[1], said.end(), False
    line = re.split("[\r\n]", text[start : start + 10_000], maxsplit=1)[0]
    best = max(_SEPARATORS, key=lambda separator: known_words(next(_rows(line, separator, True), [])))
    return best, start, f"{best} " in line


def _rows(text: str, separator: str, has_spaces: bool) -> Iterator[list[str]]:
    """The rows that are not empty; a spreadsheet writes empty ones as separators alone."""
    # Unchanged line ends: those within quotes belong to the value.
    for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=has_spaces):
        if any(row):
            yield row
