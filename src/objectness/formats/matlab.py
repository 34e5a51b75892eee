"""MATLAB ``.mat`` in and out through SciPy: boxes there count pixels from 1 and the last one in."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from objectness.errors import InputError
from objectness.formats.description import need_module
from objectness.formats.pickles import table

_FIRST_PIXEL = np.array([1, 1, 0, 0])


def load_mat(path: Path, names: list[str]) -> dict[str, Any]:
    """The variables of these names.

    Raises:
        InputError: SciPy is not installed; the file is no .mat file up to version 7.
    """
    need_module("scipy", "mat", "A .mat file")
    from scipy.io import loadmat

    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    if content[:10] == b"MATLAB 7.3":
        raise InputError(f"{path} is a .mat file of version 7.3: save it again in MATLAB with the option '-v7'.")
    if content[:7] != b"MATLAB ":
        raise InputError(f"{path} is no .mat file: it does not begin with the word MATLAB.")
    try:
        with warnings.catch_warnings(), path.open("rb") as file:
            warnings.simplefilter("ignore")
            found = loadmat(file, variable_names=names)
    except Exception as error:  # a damaged file fails in as many ways as there are fields in it
        raise InputError(f"{path} is no .mat file that can be read ({type(error).__name__}: {error}).") from None
    return {name: found[name] for name in names if name in found}


def save_mat(file: BinaryIO, variables: dict[str, Any]) -> None:
    """Write variables, compressed."""
    from scipy.io import savemat

    savemat(file, variables, do_compression=True)


def cells(values: list[Any]) -> NDArray[np.object_]:
    """A column of cells."""
    column = np.empty((len(values), 1), dtype=object)
    for index, value in enumerate(values):
        column[index, 0] = value
    return column


def flat_cells(path: Path, value: Any, what: str) -> list[Any]:
    """The cells of an array of cells, in order.

    Raises:
        InputError: it is none.
    """
    if not isinstance(value, np.ndarray) or value.dtype != object:
        raise InputError(f"{path}: {what!r} is no cell array.")
    return list(value.ravel(order="F"))


def text_of(value: Any) -> str:
    """The text in a cell; empty where it holds none."""
    array = np.asarray(value)
    return str(array.ravel()[0]) if array.size and array.dtype.kind == "U" else ""


def from_matlab(path: Path, value: Any, what: str) -> NDArray[np.float64]:
    """Boxes x1, y1, x2, y2 counted MATLAB's way as ours: 0-based, right and bottom exclusive."""
    boxes: NDArray[np.float64] = table(path, value, 4, what) - _FIRST_PIXEL
    return boxes


def to_matlab(boxes_xyxy: NDArray[np.float32]) -> NDArray[np.float64]:
    """The other way round."""
    boxes: NDArray[np.float64] = boxes_xyxy.astype(np.float64) + _FIRST_PIXEL
    return boxes
