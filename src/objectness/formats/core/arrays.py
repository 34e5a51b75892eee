"""Arrays of numbers from the values in a proposals file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from objectness.errors import InputError


def table(path: Path, value: Any, columns: int, what: str) -> NDArray[np.float64]:
    """A float64 array ``(N, columns)`` from an array or from lists of numbers.

    Raises:
        InputError: it is anything else.
    """
    array = _numbers(value)
    if array.size == 0 and array.ndim <= 2:
        return np.empty((0, columns))
    if array.ndim != 2 or array.shape[1] != columns:
        raise InputError(f"{path}: {what} has the shape {array.shape} where (N, {columns}) is due.")
    return array


def vector(path: Path, value: Any, count: int, what: str) -> NDArray[np.float64]:
    """A float64 array ``(count,)``; columns and rows of a table are taken as well.

    Raises:
        InputError: it is anything else.
    """
    array = _numbers(value)
    if array.ndim == 0 or array.ndim > 2 or (array.ndim == 2 and min(array.shape) > 1):
        raise InputError(f"{path}: {what} has the shape {array.shape} where ({count},) is due.")
    if array.size != count:
        raise InputError(f"{path}: {what} holds {array.size} values for {count} boxes.")
    return array.reshape(-1)


def _numbers(value: Any) -> NDArray[np.float64]:
    """Convert to float64; the shape (0, 0, 0), which no caller takes, marks failure."""
    try:
        if isinstance(value, np.ndarray) and value.dtype.kind not in "biufO":
            raise TypeError
        # Not by way of an array of text, which has room for the longest word at every place.
        return np.asarray(value, dtype=np.float64)
    except (ValueError, TypeError, OverflowError, RecursionError, MemoryError):
        return np.empty((0, 0, 0))
