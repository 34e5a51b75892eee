"""Pickles from strangers: arrays and plain containers are built, and nothing else happens.

A pickle is a program: it names functions and calls them. Here no name leads to the real thing. The few names
that arrays need lead to ``stand_ins``; every other name, and every instruction that could reach further, ends the
reading.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Sized
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np

from objectness.errors import InputError
from objectness.formats.stand_ins import CALLED, NAMES, Array, Attributes, Dtype, RefusedError

# What occurs twice in a pickle costs two bytes the second time, so a few kilobytes can stand for terabytes. Values
# that are written out take a byte or more each; the rest is for files that share what many images have in common.
_MOST_TIMES = 8
_SHARED_VALUES = 1 << 24
_UNFOLDS = "unfolds into far more than its size: it refers to the same contents again and again"


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
        """Each call may copy what it is given, and the same may be given to a million calls."""
        self._copies_left -= sum(len(value) for value in arguments if isinstance(value, Sized))
        if self._copies_left < 0:
            raise RefusedError(_UNFOLDS)

    def _bytearray(self) -> None:
        """Python's own makes room for as many bytes as the file claims before it looks for them."""
        size = int.from_bytes(self.read(8), "little")
        content = bytearray(self.read(size))
        if len(content) < size:
            raise EOFError("Ran out of input")
        self.stack.append(content)

    def _refuse(self) -> None:
        raise RefusedError("uses an instruction that arrays do not need")


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
    except RefusedError as error:
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
            RefusedError: it holds anything else, or too many values for the size of its file.
        """
        made, count = self._counted(value)
        if count > self._most:
            raise RefusedError(_UNFOLDS)
        return made

    def _counted(self, value: Any) -> tuple[Any, int]:
        if isinstance(value, str | bytes | bytearray | int | float | bool | type(None)):
            return value, 1
        if id(value) in self._done:
            return self._done[id(value)]
        self._done[id(value)] = None, 0  # something that contains itself
        made: Any
        match value:
            case Array():
                made, count = self._counted(value.value)
            case np.ndarray():
                made, count = value, value.size
            case Attributes():
                made, count = self._counted(value.values)
            case list() | set() | tuple():
                made, count = self._all(value)
                made = tuple(made) if isinstance(value, tuple) else made
            case dict():
                kept = {key: item for key, item in value.items() if isinstance(key, str | int)}
                items, count = self._all(kept.values())
                made = dict(zip(kept, items, strict=True))
            case _:
                raise RefusedError(f"holds a {type(value).__name__.strip('_').lower()}, which is no array")
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
