"""Windows of huge JPEG, PNG and WebP files: a band of rows is held, and moves down the image."""

from __future__ import annotations

import numpy as np

from objectness.images.windows.header import Header
from objectness.images.windows.protocol import Rectangle, Window
from objectness.images.windows.spooled_reader import SpooledReader
from objectness.images.windows.vips_rows import VipsRows

KINDS = frozenset({"JPEG", "MPO", "PNG", "WEBP"})
"""Formats that are read here, by Pillow's names."""

_PNG_INTERLACING = 28  # the byte that says so
_MOST_BYTES_A_PIXEL = 6


class VipsReader:
    """Windows from top to bottom; each row is decoded once, and rows that windows share are held.

    Args:
        rows: The file.
        mirrored: Whether it stores the image with left and right exchanged.
        remarks: Sentences for the user about the way it is read.
    """

    in_order = True

    def __init__(self, rows: VipsRows, *, mirrored: bool = False, remarks: tuple[str, ...] = ()) -> None:
        self.remarks = remarks
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
        return Window(pixels, *self._rows.lost(part))

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


def open_vips(header: Header) -> VipsReader | SpooledReader:
    """Windows of a JPEG, PNG or WebP file, upright, with the pixels of :func:`objectness.images.open_upright`.

    A band of rows is held. An image that its file stores upside down or lying is decoded once into a temporary file
    of 3 bytes a pixel. What :func:`is_decoded_whole` takes memory beside that, which a remark says.

    Args:
        header: Of a file of these formats, or the bytes of one.

    Raises:
        ImageError: The file is damaged in its header, or there is no room for the temporary file.
        NotInstalledError: pyvips is not installed.
    """
    remarks = (_memory(header),) if is_decoded_whole(header) else ()
    rows = VipsRows(header)
    if header.turned in (1, 2):
        return VipsReader(rows, mirrored=header.turned == 2, remarks=remarks)
    return SpooledReader(rows, header.turned, remarks)


def is_decoded_whole(header: Header) -> bool:
    """Whether its decoder takes memory for the whole image, whatever is asked of it."""
    return header.is_progressive or header.format == "WEBP" or _is_interlaced(header)


def _is_interlaced(header: Header) -> bool:
    return header.format == "PNG" and header.first_bytes[_PNG_INTERLACING] != 0


def _memory(header: Header) -> str:
    if header.is_progressive:
        what, instead = "a progressive JPEG", "a baseline one"
    elif _is_interlaced(header):
        what, instead = "an interlaced PNG", "one that is not"
    else:
        what, instead = "a WebP", "a JPEG or PNG"
    megabytes = _MOST_BYTES_A_PIXEL * header.pixels / 1e6
    return (
        f"{header.name}: {what} cannot be decoded in parts, and takes up to {megabytes:,.0f} MB more of memory "
        f"than {instead}."
    )
