"""Untrusted pickles: arrays and plain containers are built, and nothing is executed.

A pickle is a program: it names functions and calls them. The few names that arrays need lead to stand-ins
(``pickle_stand_ins``); every other name, and every instruction that could reach further, ends the reading.
``pickle._Unpickler.dispatch`` is private to Python: tests/formats/core/test_safe_pickle.py pins what is used of it.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Sized
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np

from objectness.errors import InputError
from objectness.files.untrusted import read_bytes
from objectness.formats.core.pickle_stand_ins import CALLED, NAMES, Array, Attributes, Dtype, RefusedError, plain_pairs

# What occurs twice in a pickle costs two bytes the second time, so a few kilobytes can stand for terabytes. Values
# that are written out take a byte or more each; the rest is for files that share what many images have in common.
_MOST_TIMES = 8
_SHARED_VALUES = 1 << 24
# Containers, marks and remembered values take a byte in the file and a hundred in memory; a list of four numbers has
# three of them in twelve bytes.
_PARTS = 1 << 20
_BYTES_A_PART = 3
_MOST_DIGITS = 400  # of a whole number in text
_MOST_LONG = 255  # bytes of one in binary: more take quadratic time, or time again at each use
_DEEPEST = 100
_UNFOLDS = "unfolds into far more than its size: it refers to the same contents again and again"


# The unpickler in C allocates as much memory as the file claims, and its instructions cannot be replaced one by one.
class _Reader(pickle._Unpickler):
    """Python's own unpickler with every instruction that could reach further replaced."""

    dispatch: ClassVar[dict[int, Any]]
    stack: list[Any]
    pop_mark: Callable[[], list[Any]]
    read: Callable[[int], bytes]  # these two while it loads
    readline: Callable[[], bytes]

    def __init__(self, content: bytes) -> None:
        # From memory: a file is asked for as many bytes as the pickle claims to hold, memory gives what is there.
        super().__init__(BytesIO(content), encoding="latin1")
        self._copies_left = _most(content)
        self._parts_left = _PARTS + len(content) // _BYTES_A_PART

    def find_class(self, module: str, name: str) -> Any:
        shown = f"{module}.{name}"[:80]
        if module.partition(".")[0] == "torch":
            raise RefusedError(f"holds PyTorch tensors ({shown}): save them as NumPy arrays")
        if (module, name) not in NAMES:
            raise RefusedError(f"names {shown}, which is neither an array nor a plain container")
        return NAMES[module, name]

    def persistent_load(self, pid: Any) -> Any:
        raise RefusedError("refers to objects outside of the file")

    def _call(self) -> None:
        arguments = self.stack.pop()
        function = self.stack[-1]
        if not any(function is known for known in CALLED) or not isinstance(arguments, tuple):
            raise RefusedError("calls something that is no array")
        self._count_copies(arguments)
        self.stack[-1] = function(*arguments)

    def _build(self) -> None:
        state = self.stack.pop()
        made = self.stack[-1]
        if isinstance(made, dict) and (state is None or isinstance(state, dict)):
            return  # an OrderedDict's attributes
        if not isinstance(made, Array | Dtype | Attributes):
            raise RefusedError("changes something that is no array")
        self._count_copies(state if isinstance(state, tuple) else (state,))
        made.state(state)

    def _count_copies(self, arguments: tuple[Any, ...]) -> None:
        """Count copies: each call may copy its arguments, and a million calls may share them."""
        self._copies_left -= sum(len(value) for value in arguments if isinstance(value, Sized))
        if self._copies_left < 0:
            raise RefusedError(_UNFOLDS)

    def _part(self, load: Any) -> None:
        self._parts_left -= 1
        if self._parts_left < 0:
            raise RefusedError("is made of far more parts than its size allows")
        load(self)

    def _append(self) -> None:
        self._extend([self.stack.pop()])

    def _appends(self) -> None:
        self._extend(self.pop_mark())

    def _extend(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise RefusedError("adds to something that is no list")
        self.stack[-1].extend(items)

    def _empty_set(self) -> None:
        self.stack.append([])  # a set hashes its items, which for nested tuples takes a lifetime

    def _frozen_set(self) -> None:
        items = self.pop_mark()  # this changes which stack it is
        self.stack.append(items)

    def _dict(self) -> None:
        items = self.pop_mark()
        self.stack.append({})
        self._set(items)

    def _set_item(self) -> None:
        value = self.stack.pop()
        self._set([self.stack.pop(), value])

    def _set_items(self) -> None:
        self._set(self.pop_mark())

    def _set(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], dict):
            raise RefusedError("adds to something that is no dictionary")
        self.stack[-1].update(plain_pairs(zip(items[::2], items[1::2], strict=True)))

    def _int(self) -> None:
        line = self._digits()
        self.stack.append(line == b"01" if line in (b"00", b"01") else int(line, 0))

    def _long(self) -> None:
        self.stack.append(int(self._digits().removesuffix(b"L"), 0))

    def _digits(self) -> bytes:
        line = self.readline()
        if len(line) > _MOST_DIGITS:
            raise RefusedError("holds a number of hundreds of digits")
        return line[:-1]

    def _long4(self) -> None:
        size = int.from_bytes(self.read(4), "little", signed=True)
        if not 0 <= size <= _MOST_LONG:
            raise RefusedError("holds a number of hundreds of digits")
        self.stack.append(pickle.decode_long(self.read(size)))

    def _bytearray(self) -> None:
        """Python's own makes room for as many bytes as the file claims before it looks for them."""
        size = int.from_bytes(self.read(8), "little")
        content = bytearray(self.read(size))
        if len(content) < size:
            raise EOFError("Ran out of input")
        self.stack.append(content)

    def _refuse(self) -> None:
        raise RefusedError("uses an instruction that arrays do not need")


def _counted(code: bytes) -> Callable[[_Reader], None]:
    load: Any = pickle._Unpickler.dispatch[code[0]]
    return lambda reader: reader._part(load)


_Reader.dispatch = {
    **pickle._Unpickler.dispatch,
    **{
        code[0]: _counted(code)
        for code in (
            *(pickle.MARK, pickle.EMPTY_LIST, pickle.EMPTY_DICT, pickle.LIST, pickle.TUPLE),
            *(pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3, pickle.PUT, pickle.BINPUT, pickle.LONG_BINPUT),
            pickle.MEMOIZE,
        )
    },
    pickle.APPEND[0]: _Reader._append,
    pickle.APPENDS[0]: _Reader._appends,
    pickle.EMPTY_SET[0]: lambda reader: reader._part(_Reader._empty_set),
    pickle.ADDITEMS[0]: _Reader._appends,
    pickle.FROZENSET[0]: lambda reader: reader._part(_Reader._frozen_set),
    pickle.DICT[0]: lambda reader: reader._part(_Reader._dict),
    pickle.SETITEM[0]: _Reader._set_item,
    pickle.SETITEMS[0]: _Reader._set_items,
    pickle.INT[0]: _Reader._int,
    pickle.LONG[0]: _Reader._long,
    pickle.LONG4[0]: _Reader._long4,
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
    content = read_bytes(path, None)
    try:
        return _Plain(_most(content)).of(_Reader(content).load())
    except RefusedError as error:
        raise InputError(f"{path} is not read, and nothing in it was executed: it {error}.") from None
    except (MemoryError, RecursionError):
        raise InputError(f"{path} is not read: it is nested too deeply, or claims to be too large.") from None
    except Exception as error:  # a damaged pickle fails in every way that its instructions can
        reason = f"{type(error).__name__}: {error}"[:200]
        raise InputError(f"{path} is no pickle that can be read ({reason}).") from None


class _Plain:
    """Replaces the stand-ins; shared contents are walked once, and counted each time, as a reader unfolds them."""

    def __init__(self, most_values: int) -> None:
        self._most = most_values
        self._done: dict[int, tuple[Any, int]] = {}

    def of(self, value: Any) -> Any:
        """The value without stand-ins.

        Raises:
            RefusedError: it holds anything else, or too many values for the size of its file.
        """
        made, count = self._counted(value)
        if count > self._most:
            raise RefusedError(_UNFOLDS)
        return made

    def _counted(self, value: Any, depth: int = 0) -> tuple[Any, int]:
        if depth > _DEEPEST:
            raise RefusedError("is nested too deeply")
        if isinstance(value, str | bytes | bytearray | int | float | bool | type(None)):
            return value, 1
        if id(value) in self._done:
            return self._done[id(value)]
        self._done[id(value)] = None, 0  # something that contains itself
        made: Any
        match value:
            case Array():
                made, count = self._counted(value.value, depth + 1)
            case np.ndarray():
                made, count = value, max(value.size, 1)
            case Attributes():
                made, count = self._counted(value.values, depth + 1)
            case list() | tuple():
                made, count = self._all(value, depth)
                made = tuple(made) if isinstance(value, tuple) else made
            case dict():
                items, count = self._all(value.values(), depth)
                made = dict(zip(value, items, strict=True))
            case _:
                raise RefusedError(f"holds a {type(value).__name__.strip('_').lower()}, which is no array")
        self._done[id(value)] = made, count
        return made, count

    def _all(self, values: Iterable[Any], depth: int) -> tuple[list[Any], int]:
        made, total = [], 1
        for value in values:
            item, count = self._counted(value, depth + 1)
            made.append(item)
            total += count
        return made, total


def _most(content: bytes) -> int:
    """Largest number of values that a file of this content may hold."""
    return _MOST_TIMES * len(content) + _SHARED_VALUES


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
