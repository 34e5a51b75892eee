"""Windows in any order of an image that can only be decoded from top to bottom: it is decoded once, to disk."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, Protocol

import numpy as np
from numpy.typing import NDArray

from objectness.images.damage import ImageError
from objectness.images.upright import LYING, as_stored
from objectness.images.windows.protocol import Rectangle, Window
from objectness.images.windows.turning import stored_part, upright_part

_CHANNELS = 3


class Rows(Protocol):
    """An image that is decoded from top to bottom, as stored."""

    name: str
    size_hw: tuple[int, int]

    def restart(self) -> None:
        """Begin at the top again."""

    def read(self, count: int) -> Iterator[NDArray[np.uint8]]:
        """The next rows, ``uint8 (n, width, 3)`` piece by piece."""

    def lost(self, part: Rectangle) -> tuple[tuple[Rectangle, ...], str]:
        """What of a part could not be decoded, as far as it was read, and why."""

    def close(self) -> None:
        """Release the file."""


class SpooledReader:
    """Windows of the pixels in a temporary file, 3 bytes a pixel, which is made at the first window.

    The file has no name (where the system allows that), so that whatever ends the process removes it.

    Args:
        rows: The image, as stored.
        turned: The EXIF orientation, 1 to 8, in which it is stored.
        remarks: Sentences for the user about the way it is read.

    Raises:
        ImageError: There is no room for the temporary file.
    """

    in_order = False

    def __init__(self, rows: Rows, turned: int, remarks: tuple[str, ...] = ()) -> None:
        self.remarks = remarks
        self._rows, self._turned = rows, turned
        self._file: IO[bytes] | None = None
        height, width = rows.size_hw
        free = shutil.disk_usage(tempfile.gettempdir()).free
        if free < height * width * _CHANNELS:
            raise self._no_room(f"{free / 1e9:.1f} GB free")

    @property
    def name(self) -> str:
        """Name of the image, for messages."""
        return self._rows.name

    @property
    def size_hw(self) -> tuple[int, int]:
        """(height, width) of the upright image."""
        height, width = self._rows.size_hw
        return (width, height) if self._turned in LYING else (height, width)

    def window(self, part: Rectangle) -> Window:
        """See :class:`objectness.images.windows.protocol.WindowReader`."""
        file = self._file or self._spool()
        stored = stored_part(part, self.size_hw, self._turned)
        pixels = np.empty((part.height, part.width, _CHANNELS), np.uint8)
        view = as_stored(pixels, self._turned)
        row_bytes = self._rows.size_hw[1] * _CHANNELS
        for row in range(stored.height):
            file.seek((stored.y + row) * row_bytes + stored.x * _CHANNELS)
            view[row] = np.frombuffer(file.read(stored.width * _CHANNELS), np.uint8).reshape(-1, _CHANNELS)
        lost, reason = self._rows.lost(stored)
        return Window(pixels, tuple(upright_part(box, self._rows.size_hw, self._turned) for box in lost), reason)

    def close(self) -> None:
        """Release the file, and remove the temporary one."""
        self._rows.close()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _spool(self) -> IO[bytes]:
        file = tempfile.TemporaryFile(prefix="objectness-")  # noqa: SIM115
        try:
            self._rows.restart()
            for piece in self._rows.read(self._rows.size_hw[0]):
                file.write(np.ascontiguousarray(piece).data)
            file.flush()
        except BaseException as error:
            with suppress(OSError):
                file.close()
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise self._no_room(error.strerror or "full") from None
            raise
        self._rows.close()  # it is not read again, and its decoder may hold the whole image
        self._file = file
        return file

    def _no_room(self, found: str) -> ImageError:
        height, width = self._rows.size_hw
        reason = (
            f"is stored turned (EXIF orientation {self._turned}) and takes {height * width * _CHANNELS / 1e9:.1f} GB "
            f"of room in {tempfile.gettempdir()} to turn it ({found})"
        )
        return ImageError(self.name, reason, "name a folder with more room in TMPDIR, or save the image upright")
