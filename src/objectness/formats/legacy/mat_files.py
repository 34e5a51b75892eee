"""MATLAB ``.mat`` files up to version 7 in and out: numeric arrays, text, and cells of them.

Not through SciPy: its reader trusts the sizes that a file states, and SciPy 1.17 ended in a segmentation fault on a
damaged file where a sentence is due. Boxes in these files count pixels from 1 and the last one in.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from objectness.errors import InputError
from objectness.files.untrusted import read_bytes
from objectness.formats.core.arrays import table

Value = NDArray[Any] | str | list[Any]

_FIRST_PIXEL = np.array([1, 1, 0, 0])
_HEADER = 128
_OURS = b"MATLAB 5.0 MAT-file, objectness"
_MATRIX, _COMPRESSED = 14, 15
_CELL, _TEXT, _DOUBLE = 1, 4, 6
_NUMBERS = range(6, 16)  # the classes double, single, int8 ... uint64
_IS_COMPLEX = 0x08
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_ENCODED = {1: "latin1", 2: "latin1", 16: "utf-8", 4: "utf-16", 17: "utf-16", 18: "utf-32"}
_CELLS = 1 << 17  # in a file of any size; beyond, each must have eight bytes of it
_MOST_TIMES = 100  # boxes do not shrink to less; zlib can make a thousand times as much of a file that is made to
_DEEPEST = 4
_LONGEST_SIDE = 1 << 31
_EMPTY = np.empty((0, 0))


class _DamagedError(Exception):
    """The damage of a file; reads on after "it has"."""


@dataclass(frozen=True)
class _Reader:
    """Bytes in one byte order: "<" or ">"; and how many cells the file may have."""

    order: str
    most_cells: int = _CELLS

    def elements(self, content: memoryview) -> Iterator[tuple[int, memoryview]]:
        """The data elements one after the other: (type, contents)."""
        position = 0
        while position + 8 <= len(content):
            kind, size = struct.unpack_from(f"{self.order}II", content, position)
            if kind >> 16:  # a small one: type, size and up to four bytes in eight
                kind, size, start, step = kind & 0xFFFF, kind >> 16, position + 4, 8
                if size > 4:
                    raise _DamagedError("a small element of more than four bytes")
            else:
                start, step = position + 8, 8 + size + (-size % 8 if kind != _COMPRESSED else 0)
            if start + size > len(content):
                raise _DamagedError("an element that is longer than the file")
            yield kind, content[start : start + size]
            position += step

    def variables(self, content: memoryview, wanted: list[str], *, unpacked: bool = False) -> dict[str, Value]:
        """The variables of these names; compressed contents are refused where they are already ``unpacked``."""
        found: dict[str, Value] = {}
        for kind, inner in self.elements(content):
            if kind == _COMPRESSED:
                if unpacked:
                    raise _DamagedError("compressed contents in compressed contents")
                unpacker = zlib.decompressobj()
                plain = unpacker.decompress(inner, len(inner) * _MOST_TIMES + 1024)
                if unpacker.unconsumed_tail:
                    raise _DamagedError("contents that unfold without bound")
                found.update(self.variables(memoryview(plain), wanted, unpacked=True))
            elif kind == _MATRIX:
                name = self._name(inner)
                if name in wanted:
                    found[name] = self.matrix(inner)
        return found

    def matrix(self, content: memoryview, depth: int = 0) -> Value:
        """The value of one matrix element."""
        if not len(content):
            return _EMPTY
        if depth > _DEEPEST:
            raise _DamagedError("cells in cells in cells")
        elements = self.elements(content)  # one by one: each may be eight bytes, and its parts as objects hundreds
        head = list(islice(elements, 3))
        if len(head) < 3 or len(head[0][1]) < 8:
            raise _DamagedError("a matrix without flags, shape and name")
        flags = struct.unpack_from(f"{self.order}I", head[0][1])[0]
        kind, is_complex = flags & 0xFF, flags >> 8 & _IS_COMPLEX
        sides = self._numbers(*head[1])
        if not 2 <= len(sides) <= 8 or sides.dtype.kind == "f" or min(sides) < 0 or max(sides) >= _LONGEST_SIDE:
            raise _DamagedError("a matrix of an impossible shape")
        shape: list[int] = sides.tolist()
        count = prod(shape)
        if kind == _CELL:
            if count > self.most_cells:
                raise _DamagedError("far more cells than its size allows")
            elements = islice(elements, count + 1)
            cells = [self._cell(inner, value, depth) for inner, value in elements]
            if count != len(cells):
                raise _DamagedError("a cell array that does not have all its cells")
            return cells
        body = next(elements, None)
        if kind == _TEXT:
            return self._text(*body) if body else ""
        if kind not in _NUMBERS or is_complex:
            raise _DamagedError("a variable that is neither real numbers, text nor cells")
        values = self._numbers(*body) if body else np.empty(0)
        if len(values) != count:
            raise _DamagedError("a matrix whose contents do not fit its shape")
        return values.reshape(shape, order="F")

    def _cell(self, kind: int, content: memoryview, depth: int) -> Value:
        if kind != _MATRIX:
            raise _DamagedError("a cell that is no matrix")
        return self.matrix(content, depth + 1)

    def _name(self, content: memoryview) -> str:
        elements = self.elements(content)
        next(elements, None)
        next(elements, None)
        return bytes(next(elements, (0, memoryview(b"")))[1]).decode("latin1")

    def _numbers(self, kind: int, content: memoryview) -> NDArray[Any]:
        if kind not in _STORED:
            raise _DamagedError(f"numbers of the unknown type {kind}")
        dtype = np.dtype(self.order + _STORED[kind])
        if len(content) % dtype.itemsize:
            raise _DamagedError("numbers that are cut short")
        return np.frombuffer(content, dtype=dtype)

    def _text(self, kind: int, content: memoryview) -> str:
        if kind not in _ENCODED:
            raise _DamagedError(f"text of the unknown type {kind}")
        encoding = _ENCODED[kind]
        if encoding.startswith("utf-") and encoding != "utf-8":
            encoding += "-le" if self.order == "<" else "-be"
        return bytes(content).decode(encoding, "replace")


def load_mat(path: Path, names: list[str]) -> dict[str, Value]:
    """The variables of these names: arrays, text, and lists for cells (column by column).

    Raises:
        InputError: the file is no .mat file up to version 7, or is damaged.
    """
    content = read_bytes(path, None)
    if content[:10] == b"MATLAB 7.3":
        raise InputError(f"{path} is a .mat file of version 7.3: save it again in MATLAB with the option '-v7'.")
    order = {b"IM": "<", b"MI": ">"}.get(content[126:_HEADER])
    if content[:7] != b"MATLAB " or order is None:
        raise InputError(f"{path} is no .mat file of version 5 to 7: it does not begin as one.")
    try:
        return _Reader(order, _CELLS + len(content) // 8).variables(memoryview(content)[_HEADER:], names)
    except (_DamagedError, zlib.error, struct.error) as error:
        raise InputError(f"{path} is a damaged .mat file: it has {error}.") from None
    except MemoryError:
        raise InputError(f"{path} is too large for this machine's memory.") from None


def save_mat(file: BinaryIO, variables: Mapping[str, Value]) -> None:
    """Write variables, compressed: numbers as double, text, lists as a column of cells."""
    file.write(_OURS.ljust(116) + bytes(8) + struct.pack("<H", 0x0100) + b"IM")
    for name, value in variables.items():
        packed = zlib.compress(_matrix(name, value))
        file.write(struct.pack("<II", _COMPRESSED, len(packed)) + packed)


def is_ours(path: Path) -> bool:
    """Whether ``save_mat`` wrote this file."""
    try:
        with path.open("rb") as file:
            return file.read(len(_OURS)) == _OURS
    except OSError:
        return False


def flat_cells(path: Path, value: Value, what: str) -> list[Any]:
    """The cells of a cell array.

    Raises:
        InputError: it is none.
    """
    if not isinstance(value, list):
        raise InputError(f"{path}: {what!r} is no cell array.")
    return value


def from_matlab(path: Path, value: Value, what: str) -> NDArray[np.float64]:
    """MATLAB's boxes x1, y1, x2, y2 as ours: 0-based, right and bottom exclusive."""
    boxes: NDArray[np.float64] = table(path, value, 4, what) - _FIRST_PIXEL
    return boxes


def to_matlab(boxes_xyxy: NDArray[np.float32]) -> NDArray[np.float64]:
    """Our boxes as MATLAB's: 1-based, last pixel in."""
    boxes: NDArray[np.float64] = boxes_xyxy.astype(np.float64) + _FIRST_PIXEL
    return boxes


def _matrix(name: str, value: Value) -> bytes:
    match value:
        case list():
            kind, shape, body = _CELL, (len(value), 1), b"".join(_matrix("", cell) for cell in value)
        case str():
            kind, shape, body = _TEXT, (1, len(value)), _element(16, value.encode("utf-8", "replace"))
        case _:
            kind, shape, body = _DOUBLE, value.shape, _element(9, value.astype("<f8").tobytes(order="F"))
    head = _element(6, struct.pack("<II", kind, 0)) + _element(5, struct.pack(f"<{len(shape)}i", *shape))
    return _element(_MATRIX, head + _element(1, name.encode("latin1")) + body)


def _element(kind: int, content: bytes) -> bytes:
    return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)
