"""Image files on disk: finding them, and their upright size from the header alone."""

from __future__ import annotations

import os
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from PIL import Image, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from objectness.images.opening import PHOTO_SUFFIXES

# What Pillow raises on files that are not, or no longer, what their header says.
BROKEN_IMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
MISSING = "is missing"

_TIFF_WIDTH, _TIFF_HEIGHT, _EXIF_ORIENTATION = 0x0100, 0x0101, 0x0112
_QUARTER_TURNS = frozenset({5, 6, 7, 8})

T = TypeVar("T")
R = TypeVar("R")


def is_image(path: Path) -> bool:
    """Whether the name is an image's; hidden files (macOS writes ``._photo.jpg``) are not."""
    return path.suffix.lower() in PHOTO_SUFFIXES and not path.name.startswith(".")


def is_file(path: Path) -> bool:
    """Whether there is a file; a name that no file can have (too long, a zero byte) is none, and no error."""
    return os.path.isfile(path)  # noqa: PTH113


def images_below(folder: Path) -> list[Path]:
    """Every image file in ``folder`` and its subfolders, sorted."""
    found = (Path(parent, name) for parent, _, names in os.walk(folder) for name in names)
    return sorted(path for path in found if is_image(path))


def upright_size(image: Image.Image) -> tuple[int, int]:
    """(height, width) of an opened image after its EXIF orientation, without decoding it."""
    # Some versions of Pillow give a TIFF's size as stored, others upright: its tags are as stored.
    tags = image.tag_v2 if isinstance(image, TiffImageFile) else {}
    width, height = tags.get(_TIFF_WIDTH, image.width), tags.get(_TIFF_HEIGHT, image.height)
    # Asking a PNG for EXIF that is not in its header makes Pillow decode the whole file.
    if image.format == "PNG" and "exif" not in image.info:
        return height, width
    try:
        turned = image.getexif().get(_EXIF_ORIENTATION) in _QUARTER_TURNS
    except BROKEN_IMAGE:
        turned = False  # a photograph with broken metadata is still a photograph
    return (width, height) if turned else (height, width)


def refuse_programs(image: Image.Image) -> None:
    """Raise for a file whose decoding would run it: Encapsulated PostScript starts Ghostscript."""
    if image.format == "EPS":
        raise OSError("Encapsulated PostScript is not read")


def read_size(path: Path) -> tuple[int, int] | str:
    """(height, width) of an image file after EXIF orientation, or why it cannot be had."""
    try:
        with Image.open(path) as image:
            refuse_programs(image)
            return upright_size(image)
    except BROKEN_IMAGE as error:
        return why_broken(error)


def why_broken(error: BaseException) -> str:
    """A short reason for an image that Pillow could not read."""
    if isinstance(error, FileNotFoundError):
        return MISSING
    if isinstance(error, IsADirectoryError):
        return "is a folder, not an image"
    if isinstance(error, PermissionError):
        return "may not be read (permission denied)"
    if isinstance(error, UnidentifiedImageError):
        return "is not an image that Pillow knows, or its beginning is damaged"
    if isinstance(error, Image.DecompressionBombError):
        return "has too many pixels to be opened safely"
    return f"cannot be decoded ({error})" if str(error) else f"cannot be decoded ({type(error).__name__})"


def in_threads(function: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
    """``map`` in a few threads, in order; Pillow lets other threads run while it reads and decodes."""
    workers = min(8, 2 * (os.cpu_count() or 1), max(1, len(items)))
    with warnings.catch_warnings(), ThreadPoolExecutor(workers) as pool:
        warnings.filterwarnings("ignore", module=r"PIL\.")  # large photographs and odd EXIF are no news here
        yield from pool.map(function, items, chunksize=1)


def read_sizes(paths: Sequence[Path], *, decode: bool = False) -> list[tuple[int, int] | str]:
    """``read_size`` of many files; with ``decode`` a file counts as broken too when its pixels are."""
    return list(in_threads(_decoded_size if decode else read_size, paths))


def _decoded_size(path: Path) -> tuple[int, int] | str:
    size = read_size(path)
    if isinstance(size, str):
        return size
    try:
        with Image.open(path) as image:
            image.load()
    except BROKEN_IMAGE as error:
        return why_broken(error)
    return size
