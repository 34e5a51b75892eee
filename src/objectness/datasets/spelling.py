"""Flags, numbers and sizes as strangers spell them in JSON and XML: 1, 1.0, "1", "true", null."""

from __future__ import annotations

import math

_NO = frozenset({"", "false", "f", "no", "n", "off", "none", "null", "unspecified", "unknown"})
_YES = frozenset({"true", "t", "yes", "y", "on"})

LONGEST_SIDE_PX = 2**31 - 1
"""No format of images can say more."""


def read_flag(value: object) -> bool | None:
    """A yes or no, which nothing at all means no; None for what is neither."""
    if value is None:
        return False
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        word = value.strip().lower()
        if word in _NO or word in _YES:
            return word in _YES
    number = read_number(value)
    return None if number is None or math.isnan(number) else number != 0


def read_number(value: object) -> float | None:
    """A number, infinite where it is too large; None for what is none, true and false among them."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if isinstance(value, int) and value > 0 else -math.inf
    except ValueError:
        return None


def read_side(value: object) -> int | None:
    """Width or height of an image in pixels, as in 640, 640.0 and "640"; None for what no image can have."""
    number = read_number(value)
    return int(number) if number is not None and 1 <= number <= LONGEST_SIDE_PX else None
