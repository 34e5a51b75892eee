"""Stand-ins for the names in an untrusted pickle: they keep their arguments and check them.

Not even NumPy's own unpickling is used, as it trusts the shapes that the file states.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LONGEST_SIDE = 1 << 31
_LONGEST_EMPTY = 1 << 16  # a side of an array that holds nothing: its reader may count to it
_LARGEST_KEY = 2**53


class RefusedError(Exception):
    """The reason why a pickle is not read; reads on after "it"."""


class Dtype:
    """Stands for ``numpy.dtype``: a letter, a width, a byte order."""

    def __init__(self, description: object = "", *_: object) -> None:
        self.description = _as_text(description).lstrip("<>=|")
        self.order = "<"

    def state(self, state: object) -> None:
        """Take the byte order."""
        order = _as_text(state[1]) if isinstance(state, tuple) and len(state) > 1 else ""
        self.order = order if order in (">", "<") else "<"

    def real(self) -> np.dtype[Any]:
        """NumPy's own type; raises ``RefusedError`` where it is none of numbers or text."""
        letter, width = self.description[:1], self.description[1:]
        if letter not in "biufSU" or not width.isdecimal() or not 0 < int(width) <= 4096:
            raise RefusedError(f"holds an array of the type {self.description[:20]!r}, not of numbers or text")
        return np.dtype(f"{self.order}{self.description}")


class Array:
    """Stands for ``numpy.ndarray`` until all of it is there."""

    def __init__(self, shape: object = (), dtype: object = None, content: object = None, *_: object) -> None:
        self.value: Any = None if content is None else _array(content, dtype, shape, "C")

    def state(self, state: object) -> None:
        """Take shape, type and contents; raises ``RefusedError`` where they do not fit together."""
        if not isinstance(state, tuple) or len(state) < 4:
            raise RefusedError("holds an array without contents")
        shape, dtype, is_fortran, content = state[-4:]
        if isinstance(content, list):
            self.value = content  # an array of objects: its items count
        else:
            self.value = _array(content, dtype, shape, "F" if is_fortran else "C")


class Attributes:
    """Stands for mmengine's containers: their contents by name."""

    def __init__(self, *_: object) -> None:
        self.values: dict[Any, Any] = {}

    def state(self, state: object) -> None:
        """Take contents by name."""
        parts = state if isinstance(state, tuple) else (state,)
        for part in parts:
            if isinstance(part, dict):
                self.values.update(part)


def _array(content: object, dtype: object, shape: object, order: str) -> NDArray[Any]:
    raw = content.encode("latin1") if isinstance(content, str) else content  # text: written by Python 2
    if not isinstance(dtype, Dtype) or not isinstance(shape, tuple) or not isinstance(raw, bytes | bytearray):
        raise RefusedError("holds an array that is put together in an unknown way")
    if not all(isinstance(side, int) and 0 <= side < _LONGEST_SIDE for side in shape) or len(shape) > 8:
        raise RefusedError("holds an array of an impossible shape")
    if 0 in shape and max(shape) > _LONGEST_EMPTY:
        raise RefusedError("holds an array of an impossible shape")
    kind = dtype.real()
    count = 1
    for side in shape:
        count *= side
    if count * kind.itemsize != len(raw):
        raise RefusedError("holds an array whose contents do not fit its shape")
    return np.frombuffer(bytes(raw), dtype=kind).reshape(shape, order="F" if order == "F" else "C")


def _as_text(value: object) -> str:
    return value.decode("latin1") if isinstance(value, bytes) else value if isinstance(value, str) else ""


def _reconstruct(*_: object) -> Array:
    return Array()


def _from_buffer(content: object = None, dtype: object = None, shape: object = None, order: object = "C") -> Any:
    made = Array()
    made.value = _array(content, dtype, shape, _as_text(order))
    return made


def _scalar(dtype: object = None, content: object = None) -> Any:
    return _array(content, dtype, (), "C")[()].item()


def _encode(text: object = "", encoding: object = "latin1", *_: object) -> bytes:
    if isinstance(text, bytes):
        return text
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise RefusedError("encodes text in an unknown way")
    return text.encode("latin1")


def _items(items: object = (), *_: object) -> list[Any]:
    return list(items) if isinstance(items, list | tuple) else []


def _pairs(items: object = (), *_: object) -> dict[int | str, Any]:
    pairs = items if isinstance(items, list) else []
    if not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):
        raise RefusedError("holds a dictionary that is put together in an unknown way")
    return plain_pairs(pairs)


def plain_pairs(pairs: Iterable[Any]) -> dict[int | str, Any]:
    """The pairs whose keys are text or whole numbers.

    A dictionary hashes its keys, which for nested tuples or numbers of a million digits takes a lifetime.
    """
    return {key: value for key, value in pairs if isinstance(key, str) or _is_plain_number(key)}


def _is_plain_number(key: Any) -> bool:
    return isinstance(key, int) and -_LARGEST_KEY <= key <= _LARGEST_KEY


_NUMPY_HOMES = ("numpy.core.multiarray", "numpy._core.multiarray")
NAMES: dict[tuple[str, str], Any] = {
    **{(home, "_reconstruct"): _reconstruct for home in _NUMPY_HOMES},
    **{(home, "scalar"): _scalar for home in _NUMPY_HOMES},
    **{(home, "_frombuffer"): _from_buffer for home in ("numpy.core.numeric", "numpy._core.numeric")},
    ("numpy", "ndarray"): Array,
    ("numpy", "dtype"): Dtype,
    ("_codecs", "encode"): _encode,
    **{(home, name): _encode for home in ("builtins", "__builtin__") for name in ("bytes", "bytearray")},
    ("collections", "OrderedDict"): _pairs,
    **{(home, name): _items for home in ("builtins", "__builtin__") for name in ("list", "set", "frozenset", "tuple")},
    ("mmengine.structures.instance_data", "InstanceData"): Attributes,
    ("mmengine.structures.base_data_element", "BaseDataElement"): Attributes,
    ("mmengine.structures", "InstanceData"): Attributes,
}
CALLED: frozenset[Any] = frozenset({*NAMES.values()})
