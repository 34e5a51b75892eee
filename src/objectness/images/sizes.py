"""The upright sizes of image files, many at once, from their headers or from their pixels."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from objectness.images.damage import DAMAGED, ImageError, damaged
from objectness.images.headers import opened
from objectness.images.upright import upright_size

T = TypeVar("T")
R = TypeVar("R")


def is_file(path: Path) -> bool:
    """Whether there is a regular file; a name that no file can have (too long, a zero byte) is none, and no error."""
    return os.path.isfile(path)  # noqa: PTH113


def read_size(path: Path, *, decode: bool = False) -> tuple[int, int] | str:
    """(height, width) of an image file after its orientation, or the reason why it has none.

    With ``decode`` a file whose pixels are damaged has no size either.
    """
    try:
        with opened(path) as image:
            size_hw = upright_size(image)
            if decode:
                try:
                    image.draft(None, (1, 1))  # a JPEG is then read whole but unfolded at an eighth: twice as quick
                    image.load()
                except (MemoryError, *DAMAGED) as error:
                    raise damaged(str(path), error) from None
            return size_hw
    except ImageError as error:
        return error.reason


def digest(path: Path) -> bytes | None:
    """A digest of a file's bytes, the same for the same bytes; None where no regular file can be read."""
    if not is_file(path):
        return None
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).digest()
    except OSError:
        return None


def in_threads(function: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
    """``map`` in a few threads, in order; Pillow lets other threads run while it reads and decodes."""
    workers = min(8, 2 * (os.cpu_count() or 1), max(1, len(items)))
    with warnings.catch_warnings(), ThreadPoolExecutor(workers) as pool:
        warnings.filterwarnings("ignore", module=r"PIL\.")  # large photographs and odd EXIF are no news here
        yield from pool.map(function, items, chunksize=1)


def read_sizes(paths: Sequence[Path], *, decode: bool = False) -> list[tuple[int, int] | str]:
    """:func:`read_size` of many files."""
    return list(in_threads(partial(read_size, decode=decode), paths))
