"""What is known of an image before anything of it is decoded: format, upright size, orientation."""

from __future__ import annotations

import io
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from objectness.errors import InputError
from objectness.images.damage import DAMAGED, ImageError
from objectness.images.headers import opened, opened_bytes, read_stream, require_size
from objectness.images.opening import Source, describe
from objectness.images.pixel_formats import array_as_rgb
from objectness.images.upright import LYING, orientation, upright_size
from objectness.images.windows.slide_file import SLIDE, slide_size_hw
from objectness.images.windows.tiff_header import read_tiff_header

_PNG_MARK = b"\x89PNG\r\n\x1a\n"
_PNG_TEXTS = frozenset({b"eXIf", b"tEXt", b"zTXt", b"iTXt"})
_MOST_TEXT_BYTES = 1 << 20


@dataclass(frozen=True, eq=False)
class Header:
    """An image of which nothing is decoded yet.

    Attributes:
        source: A path, the bytes of a file, a PIL image or an array.
        name: Its name in messages.
        format: As Pillow names it ("JPEG", "TIFF"), or ``SLIDE``; empty for a PIL image or an array.
        size_hw: (height, width) upright.
        turned: The EXIF orientation, 1 to 8, in which the pixels are stored.
        first_bytes: 32 bytes of a file.
        is_progressive: Whether it is a JPEG whose coefficients are all needed before the first pixel.
        has_nodata: Whether it is a GeoTIFF in which a value stands for "no data".
    """

    source: str | bytes | Image.Image | NDArray[Any]
    name: str
    format: str
    size_hw: tuple[int, int]
    turned: int = 1
    first_bytes: bytes = b""
    is_progressive: bool = False
    has_nodata: bool = False

    @property
    def pixels(self) -> int:
        """Height times width."""
        return self.size_hw[0] * self.size_hw[1]

    @property
    def stored_hw(self) -> tuple[int, int]:
        """(height, width) as stored."""
        height, width = self.size_hw
        return (width, height) if self.turned in LYING else (height, width)

    @property
    def is_file(self) -> bool:
        """Whether there is a file, or the bytes of one."""
        return isinstance(self.source, str | bytes)


def read_header(source: Source) -> Header:
    """The header of an image of any size.

    Raises:
        InputError: As :func:`objectness.images.open_upright`, but for the limits of size.
    """
    name = describe(source)
    if isinstance(source, np.ndarray):
        array_as_rgb(source[:1, :1] if source.ndim >= 2 else source)  # refuses other shapes and types
        return Header(source, name, "", (source.shape[0], source.shape[1]))
    if isinstance(source, Image.Image):
        return Header(source, name, "", upright_size(source), orientation(source))
    if isinstance(source, bytes | bytearray | memoryview):
        return _of_file(bytes(source), name)
    if hasattr(source, "read"):
        return _of_file(read_stream(cast("IO[bytes]", source), name), name)
    try:
        return _of_file(os.fspath(source), name)
    except TypeError:
        raise InputError(
            "An image is a path, a PIL image or a NumPy array, the bytes of a file or a file object, "
            f"but a {type(source).__name__} came; convert it first."
        ) from None


def _of_file(source: str | bytes, name: str) -> Header:
    slide_hw = slide_size_hw(source) if isinstance(source, str) else None
    if slide_hw is not None:
        return Header(source, name, SLIDE, slide_hw)
    try:
        with _file(source) as file:
            first_bytes = file.read(32)
            tiff = read_tiff_header(file)
            if tiff is not None:
                height, width = tiff.stored_hw
                require_size((width, height), name, None)
                upright_hw = (width, height) if tiff.turned in LYING else (height, width)
                return Header(source, name, "TIFF", upright_hw, tiff.turned, first_bytes, has_nodata=tiff.has_nodata)
    except (OSError, ValueError):
        first_bytes = b""  # Pillow's way to the file below says why
    if isinstance(source, bytes):
        return _of_image(opened_bytes(source, name, None), source, name, first_bytes)
    with opened(source, None) as image:
        return _of_image(image, source, name, first_bytes)


def _of_image(image: Image.Image, source: str | bytes, name: str, first_bytes: bytes) -> Header:
    turned = _orientation_of_png(source) if image.format == "PNG" else orientation(image)
    size_hw = image.size if turned in LYING else image.size[::-1]
    progressive = bool(image.info.get("progressive")) and image.format in ("JPEG", "MPO")
    return Header(source, name, image.format or "", size_hw, turned, first_bytes, progressive)


def _file(source: str | bytes) -> IO[bytes]:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    path = Path(source)
    if not path.is_file():
        raise ImageError(source, "is no regular file", "check the path")
    return path.open("rb")


def _orientation_of_png(source: str | bytes) -> int:
    """The EXIF orientation of a PNG, also where it stands behind the pixels.

    Pillow would decode them all on the way there: it is shown a copy of one pixel with the same texts instead.
    """
    pieces = [_piece(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))]
    try:
        with _file(source) as file:
            end, at = file.seek(0, io.SEEK_END), len(_PNG_MARK)
            while at + 12 <= end:
                file.seek(at)
                length, kind = struct.unpack(">I4s", file.read(8))
                if kind in _PNG_TEXTS and length <= _MOST_TEXT_BYTES:
                    pieces.append(_piece(kind, file.read(length)))
                at += 12 + length
        pieces += [_piece(b"IDAT", zlib.compress(b"\0\0")), _piece(b"IEND", b"")]
        return orientation(PngImagePlugin.PngImageFile(io.BytesIO(_PNG_MARK + b"".join(pieces))))
    except DAMAGED:
        return 1


def _piece(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
