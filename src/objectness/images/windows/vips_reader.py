"""Windows of huge JPEG, PNG and WebP files: a band of rows is held, and moves down the image."""

from __future__ import annotations

import os
import struct
from io import BytesIO
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from objectness.images.damage import DAMAGED, ImageError
from objectness.images.headers import DEFAULT_MAX_PIXELS, opened
from objectness.images.upright import orientation
from objectness.images.windows.protocol import Rectangle, Window
from objectness.images.windows.spooled_reader import SpooledReader
from objectness.images.windows.vips_rows import VipsRows

KINDS = ("JPEG", "PNG", "WEBP")
"""Formats that are read here, by Pillow's names."""

_MOST_METADATA_BYTES = 1 << 20
_PNG_METADATA = frozenset({b"IHDR", b"eXIf", b"tEXt", b"zTXt", b"iTXt"})


class VipsReader:
    """Windows from top to bottom; each row is decoded once, and rows that windows share are held.

    Args:
        rows: The file.
        mirrored: Whether it stores the image with left and right exchanged.
    """

    in_order = True

    def __init__(self, rows: VipsRows, *, mirrored: bool = False) -> None:
        self._rows, self._mirrored = rows, mirrored
        self._top, self._held = 0, 0
        self._band = np.empty((0, rows.size_hw[1], 3), np.uint8)

    @property
    def name(self) -> str:
        """Name of the image, for messages."""
        return self._rows.name

    @property
    def size_hw(self) -> tuple[int, int]:
        """(height, width) of the upright image."""
        return self._rows.size_hw

    def window(self, part: Rectangle) -> Window:
        """See :class:`objectness.images.windows.protocol.WindowReader`."""
        if part.y < self._top:
            self._rows.restart()
            self._top = self._held = 0
        self._move_to(part.y, part.height)
        x = self.size_hw[1] - part.x - part.width if self._mirrored else part.x
        view = self._band[: part.height, x : x + part.width]
        pixels = (view[:, ::-1] if self._mirrored else view).copy()
        damage = self._rows.damage
        if damage is None or damage.row >= part.y + part.height:
            return Window(pixels)
        first = max(damage.row, part.y)
        return Window(pixels, (part._replace(y=first, height=part.y + part.height - first),), damage.reason)

    def close(self) -> None:
        """Release the file."""
        self._rows.close()
        self._band = self._band[:0].copy()

    def _move_to(self, top: int, height: int) -> None:
        """Hold the rows from ``top`` on, ``height`` of them at least."""
        passed = min(top - self._top, self._held)
        band = self._band if len(self._band) >= height else np.empty((height, *self._band.shape[1:]), np.uint8)
        for row in range(self._held - passed):  # in order, so that rows are moved and never copied aside
            band[row] = self._band[row + passed]
        self._band, self._held = band, self._held - passed
        self._rows.skip(top - self._rows.next_row)
        self._top = top
        if self._held < height:
            for piece in self._rows.read(height - self._held):
                self._band[self._held : self._held + len(piece)] = piece
                self._held += len(piece)


def open_vips(path: str | os.PathLike[str], max_pixels: int | None = DEFAULT_MAX_PIXELS) -> VipsReader | SpooledReader:
    """Windows of a JPEG, PNG or WebP file, upright, with the pixels of :func:`objectness.images.open_upright`.

    A band of rows is held. An image that its file stores upside down or lying is decoded once into a temporary file
    of 3 bytes a pixel. Three kinds are decoded whole, whatever is asked of them: see :func:`memory_note`; these and
    all others are refused where their size or their memory passes the limit.

    Args:
        path: The file.
        max_pixels: Refuse larger images; None for no limit.

    Raises:
        ImageError: No such file, another format, damaged in its header, too large, or no room for the temporary file.
        NotInstalledError: pyvips is not installed.
    """
    with opened(path, max_pixels) as image:
        kind = "JPEG" if image.format == "MPO" else image.format or ""
        if kind not in KINDS:
            raise ImageError(os.fspath(path), f"is a {kind} file", f"this reader takes {', '.join(KINDS)}")
        turned = stored_orientation(image)
        rows = VipsRows(Path(path), kind, image.mode, (image.height, image.width))
    if turned in (1, 2):
        return VipsReader(rows, mirrored=turned == 2)
    return SpooledReader(rows, turned)


def memory_note(image: Image.Image) -> str:
    """One sentence on the memory of an opened image that no decoder reads in parts; empty for all others."""
    pixels = image.width * image.height
    match image.format:
        case "JPEG" | "MPO" if image.info.get("progressive"):
            what, how, bytes_a_pixel = "a progressive JPEG", "a baseline one", 2 * len(image.getbands())
        case "PNG" if image.info.get("interlace"):
            what, how, bytes_a_pixel = "an interlaced PNG", "one that is not", len(image.getbands())
        case "WEBP":
            what, how, bytes_a_pixel = "a WebP", "a JPEG or PNG", 4
        case _:
            return ""
    return (
        f"It is {what}, which no decoder reads in parts: about {pixels * bytes_a_pixel / 1e6:,.0f} MB more of memory; "
        f"saved as {how} it would take none."
    )


def stored_orientation(image: Image.Image) -> int:
    """The EXIF orientation of an opened image, 1 to 8, for which nothing is decoded, wherever a PNG keeps it."""
    file = getattr(image, "fp", None)
    if image.format != "PNG" or file is None:
        return orientation(image)
    place = file.tell()
    try:
        with PngImagePlugin.PngImageFile(BytesIO(_png_without_pixels(file))) as told:
            found = Image.Image.getexif(told).get(0x0112, 1)
    except DAMAGED:
        return 1  # an image with broken metadata is still an image
    finally:
        file.seek(place)
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def _png_without_pixels(file: IO[bytes]) -> bytes:
    """The metadata of a PNG, in front of the pixels and behind them, as a file of its own."""
    file.seek(0)
    pieces, left = [file.read(8)], _MOST_METADATA_BYTES
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind in _PNG_METADATA and length <= left:
            pieces.append(head + file.read(length + 4))
            left -= length
        else:
            file.seek(length + 4, os.SEEK_CUR)
    return b"".join([*pieces, struct.pack(">I4sI", 0, b"IEND", 0xAE426082)])
