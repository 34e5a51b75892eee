"""Pickles from strangers: arrays and plain containers are built, and nothing else happens.

A pickle is a program: it names functions and calls them. Here no name leads to the real thing. The few names
that arrays need lead to stand-ins of our own that keep what they are given and check it; every other name, and
every instruction that could reach further, ends the reading. Not even NumPy's own unpickling is used: it trusts
the shapes that the file states.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Sized
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np
from numpy.typing import NDArray

from objectness.errors import InputError

_LONGEST_SIDE = 1 << 31
# What occurs twice in a pickle costs two bytes the second time, so a few kilobytes can stand for terabytes. Values
# that are written out take a byte or more each; the rest is for files that share what many images have in common.
_MOST_TIMES = 8
_SHARED_VALUES = 1 << 24
_UNFOLDS = "unfolds into far more than its size: it refers to the same contents again and again"


class _RefusedError(Exception):
    """The reason why a pickle is not read; reads on after "it"."""


class _Dtype:
    """Stands for ``numpy.dtype``: a letter, a width, a byte order."""

    def __init__(self, description: object = "", *_: object) -> None:
        self.description = _as_text(description).lstrip("<>=|")
        self.order = "<"

    def state(self, state: object) -> None:
        order = _as_text(state[1]) if isinstance(state, tuple) and len(state) > 1 else ""
        self.order = order if order in (">", "<") else "<"

    def real(self) -> np.dtype[Any]:
        letter, width = self.description[:1], self.description[1:]
        if letter not in "biufSU" or not width.isdecimal() or not 0 < int(width) <= 4096:
            raise _RefusedError(f"holds an array of the type {self.description[:20]!r}, not of numbers or text")
        return np.dtype(f"{self.order}{self.description}")


class _Array:
    """Stands for ``numpy.ndarray`` until all of it is there."""

    def __init__(self, shape: object = (), dtype: object = None, content: object = None, *_: object) -> None:
        self.value: Any = None if content is None else _array(content, dtype, shape, "C")

    def state(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) < 4:
            raise _RefusedError("holds an array without contents")
        shape, dtype, is_fortran, content = state[-4:]
        if isinstance(content, list):
            self.value = content  # an array of objects: its items are what counts
        else:
            self.value = _array(content, dtype, shape, "F" if is_fortran else "C")


class _Attributes:
    """Stands for mmengine's containers: what they hold, by name."""

    def __init__(self, *_: object) -> None:
        self.values: dict[Any, Any] = {}

    def state(self, state: object) -> None:
        parts = state if isinstance(state, tuple) else (state,)
        for part in parts:
            if isinstance(part, dict):
                self.values.update(part)


def _array(content: object, dtype: object, shape: object, order: str) -> NDArray[Any]:
    raw = content.encode("latin1") if isinstance(content, str) else content  # text: written by Python 2
    if not isinstance(dtype, _Dtype) or not isinstance(shape, tuple) or not isinstance(raw, bytes | bytearray):
        raise _RefusedError("holds an array that is put together in an unknown way")
    if not all(isinstance(side, int) and 0 <= side < _LONGEST_SIDE for side in shape) or len(shape) > 8:
        raise _RefusedError("holds an array of an impossible shape")
    kind = dtype.real()
    count = 1
    for side in shape:
        count *= side
    if count * kind.itemsize != len(raw):
        raise _RefusedError("holds an array whose contents do not fit its shape")
    return np.frombuffer(bytes(raw), dtype=kind).reshape(shape, order="F" if order == "F" else "C")


def _as_text(value: object) -> str:
    return value.decode("latin1") if isinstance(value, bytes) else value if isinstance(value, str) else ""


def _reconstruct(*_: object) -> _Array:
    return _Array()


def _from_buffer(content: object = None, dtype: object = None, shape: object = None, order: object = "C") -> Any:
    made = _Array()
    made.value = _array(content, dtype, shape, _as_text(order))
    return made


def _scalar(dtype: object = None, content: object = None) -> Any:
    return _array(content, dtype, (), "C")[()].item()


def _encode(text: object = "", encoding: object = "latin1", *_: object) -> bytes:
    if isinstance(text, bytes):
        return text
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise _RefusedError("encodes text in an unknown way")
    return text.encode("latin1")


def _items(items: object = (), *_: object) -> list[Any]:
    return list(items) if isinstance(items, list | tuple | set) else []


def _pairs(items: object = (), *_: object) -> dict[Any, Any]:
    return dict(items) if isinstance(items, list) else {}


_NUMPY_HOMES = ("numpy.core.multiarray", "numpy._core.multiarray")
_NAMES: dict[tuple[str, str], Any] = {
    **{(home, "_reconstruct"): _reconstruct for home in _NUMPY_HOMES},
    **{(home, "scalar"): _scalar for home in _NUMPY_HOMES},
    **{(home, "_frombuffer"): _from_buffer for home in ("numpy.core.numeric", "numpy._core.numeric")},
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _encode,
    **{(home, name): _encode for home in ("builtins", "__builtin__") for name in ("bytes", "bytearray")},
    ("collections", "OrderedDict"): _pairs,
    **{(home, name): _items for home in ("builtins", "__builtin__") for name in ("list", "set", "frozenset", "tuple")},
    ("mmengine.structures.instance_data", "InstanceData"): _Attributes,
    ("mmengine.structures.base_data_element", "BaseDataElement"): _Attributes,
    ("mmengine.structures", "InstanceData"): _Attributes,
}
_CALLED: frozenset[Any] = frozenset({*_NAMES.values()})


# The one in C would do as it is told by the file when it makes room for its memory, and its instructions cannot
# be replaced one by one.
class _Reader(pickle._Unpickler):
    """Python's own unpickler with every instruction that could reach further replaced."""

    dispatch: ClassVar[dict[int, Any]]
    stack: list[Any]
    read: Callable[[int], bytes]  # while it loads

    def __init__(self, content: bytes) -> None:
        # From memory: a file is asked for as many bytes as the pickle claims to hold, memory gives what is there.
        super().__init__(BytesIO(content), encoding="latin1")
        self._copies_left = _most(content)

    def find_class(self, module: str, name: str) -> Any:
        shown = f"{module}.{name}"[:80]
        if module.partition(".")[0] == "torch":
            raise _RefusedError(f"holds PyTorch tensors ({shown}): save them as NumPy arrays")
        if (module, name) not in _NAMES:
            raise _RefusedError(f"names {shown}, which is neither an array nor a plain container")
        return _NAMES[module, name]

    def persistent_load(self, pid: Any) -> Any:
        raise _RefusedError("refers to objects outside of the file")

    def _call(self) -> None:
        arguments = self.stack.pop()
        function = self.stack[-1]
        if not any(function is known for known in _CALLED) or not isinstance(arguments, tuple):
            raise _RefusedError("calls something that is no array")
        self._count_copies(arguments)
        self.stack[-1] = function(*arguments)

    def _build(self) -> None:
        state = self.stack.pop()
        made = self.stack[-1]
        if isinstance(made, dict) and (state is None or isinstance(state, dict)):
            return  # an OrderedDict's attributes
        if not isinstance(made, _Array | _Dtype | _Attributes):
            raise _RefusedError("changes something that is no array")
        self._count_copies(state if isinstance(state, tuple) else (state,))
        made.state(state)

    def _count_copies(self, arguments: tuple[Any, ...]) -> None:
        """Each call may copy what it is given, and the same may be given to a million calls."""
        self._copies_left -= sum(len(value) for value in arguments if isinstance(value, Sized))
        if self._copies_left < 0:
            raise _RefusedError(_UNFOLDS)

    def _bytearray(self) -> None:
        """Python's own makes room for as many bytes as the file claims before it looks for them."""
        size = int.from_bytes(self.read(8), "little")
        content = bytearray(self.read(size))
        if len(content) < size:
            raise EOFError("Ran out of input")
        self.stack.append(content)

    def _refuse(self) -> None:
        raise _RefusedError("uses an instruction that arrays do not need")


_Reader.dispatch = {
    **pickle._Unpickler.dispatch,
    pickle.REDUCE[0]: _Reader._call,
    pickle.NEWOBJ[0]: _Reader._call,
    pickle.BUILD[0]: _Reader._build,
    pickle.BYTEARRAY8[0]: _Reader._bytearray,
    **{
        code[0]: _Reader._refuse
        for code in (pickle.NEWOBJ_EX, pickle.INST, pickle.OBJ, pickle.EXT1, pickle.EXT2, pickle.EXT4)
    },
}


def load_plain(path: Path) -> Any:
    """Read a pickle of arrays, numbers, text, lists, tuples, dictionaries; nothing in it is executed.

    Returns:
        The same with NumPy arrays; sets come as lists, mmengine's ``InstanceData`` as dictionaries.

    Raises:
        InputError: the file cannot be read, is no pickle, or holds anything else.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    try:
        return _Plain(_most(content)).of(_Reader(content).load())
    except _RefusedError as error:
        raise InputError(f"{path} is not read, and nothing in it was executed: it {error}.") from None
    except (MemoryError, RecursionError):
        raise InputError(f"{path} is not read: it is nested too deeply, or claims to be too large.") from None
    except Exception as error:  # a damaged pickle fails in every way that its instructions can
        reason = f"{type(error).__name__}: {error}"[:200]
        raise InputError(f"{path} is no pickle that can be read ({reason}).") from None


class _Plain:
    """Replaces the stand-ins; what occurs twice is walked once, and counted twice as its reader will unfold it."""

    def __init__(self, most_values: int) -> None:
        self._most = most_values
        self._done: dict[int, tuple[Any, int]] = {}

    def of(self, value: Any) -> Any:
        """The value without stand-ins.

        Raises:
            _RefusedError: it holds anything else, or too many values for the size of its file.
        """
        made, count = self._counted(value)
        if count > self._most:
            raise _RefusedError(_UNFOLDS)
        return made

    def _counted(self, value: Any) -> tuple[Any, int]:
        if isinstance(value, str | bytes | bytearray | int | float | bool | type(None)):
            return value, 1
        if id(value) in self._done:
            return self._done[id(value)]
        self._done[id(value)] = None, 0  # something that contains itself
        made: Any
        match value:
            case _Array():
                made, count = self._counted(value.value)
            case np.ndarray():
                made, count = value, value.size
            case _Attributes():
                made, count = self._counted(value.values)
            case list() | set() | tuple():
                made, count = self._all(value)
                made = tuple(made) if isinstance(value, tuple) else made
            case dict():
                kept = {key: item for key, item in value.items() if isinstance(key, str | int)}
                items, count = self._all(kept.values())
                made = dict(zip(kept, items, strict=True))
            case _:
                raise _RefusedError(f"holds a {type(value).__name__.strip('_').lower()}, which is no array")
        self._done[id(value)] = made, count
        return made, count

    def _all(self, values: Iterable[Any]) -> tuple[list[Any], int]:
        made, total = [], 0
        for value in values:
            item, count = self._counted(value)
            made.append(item)
            total += count
        return made, total


def _most(content: bytes) -> int:
    """How many values a file of this content may stand for."""
    return _MOST_TIMES * len(content) + _SHARED_VALUES


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
    """Anything as an array of numbers; of the shape (0, 0, 0), which nobody takes, where it is none."""
    try:
        array: NDArray[Any] = np.asarray(value)
        if array.dtype.kind not in "biufO":
            raise TypeError
        return array.astype(np.float64)
    except (ValueError, TypeError, OverflowError):
        return np.empty((0, 0, 0))


def dump(file: BinaryIO, document: Any, protocol: int = 4) -> None:
    """Write a pickle that every NumPy can read.

    An array is spelled as a call of ``numpy.ndarray``. What NumPy itself would write names ``numpy._core``, which
    the NumPy of most detection frameworks does not have.
    """
    _Writer(file, protocol).dump(document)


class _Writer(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return np.ndarray, (value.shape, value.dtype, bytearray(np.ascontiguousarray(value).tobytes()))
        return NotImplemented
