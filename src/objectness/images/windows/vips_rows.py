"""Rows of a JPEG, PNG or WebP from top to bottom, as RGB: decoded by libvips, never the whole image at once.

W columns; rows are in the order in which the file stores them.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from objectness.errors import NotInstalledError
from objectness.images.damage import ImageError
from objectness.images.pixel_formats import as_rgb, bit_range
from objectness.images.windows.header import Header
from objectness.images.windows.protocol import MISSING_GREY, Rectangle
from objectness.installation import how_to_install

_ROWS = 8  # asked for at once: as many as the decoder makes at once, so that damage is known to within them
_14_BITS = 16383  # colour within these is scaled; of brighter colour the higher eight bits are taken
_LOADERS = {
    "JPEG": "jpegload_source",
    "MPO": "jpegload_source",
    "PNG": "pngload_source",
    "WEBP": "webpload_source",
}
_PNG_COLOUR_TYPE = 25  # the byte that says so
# What the decoder warns of before and between sound pixels (jerror.h of libjpeg); everything else is damage.
_HARMLESS = ("extraneous bytes before marker", "JFIF revision", "Adobe color transform", "bad ICC marker")


@dataclass(frozen=True)
class Damage:
    """Where an image stops to be readable.

    Attributes:
        row: The first row that cannot be decoded.
        reason: Why, in a few words.
    """

    row: int
    reason: str


class VipsRows:
    """The rows of one file.

    All calls of libvips, which asks for the bytes of the file piece by piece, run in a thread of their own: an
    exception of Ctrl-C in the midst of such a question would be lost. The file is not mapped into memory, of which
    the process would seem to take as much as the file is large.

    Args:
        header: Of a JPEG, PNG or WebP file, or the bytes of one.

    Attributes:
        name: The file, for messages.
        size_hw: (height, width) as stored.
        damage: Where it stops to be readable, as far as it was read; None if nowhere.

    Raises:
        NotInstalledError: pyvips is not installed.
        ImageError: The header is damaged.
    """

    def __init__(self, header: Header) -> None:
        require_pyvips(header.format)
        assert isinstance(header.source, str | bytes)
        self.name = header.name
        self.size_hw = header.stored_hw
        self.damage: Damage | None = None
        self._source, self._loader = header.source, _LOADERS[header.format]
        self._is_grey = self._loader == "pngload_source" and header.first_bytes[_PNG_COLOUR_TYPE] == 0
        self._brightest: int | None = None  # of an image of 16 bits, once it is known
        self._fail_on = "warning"
        self._file: IO[bytes] = io.BytesIO()
        self._asked: Any = None
        self._region: Any = None
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="objectness-vips")
        self.restart()

    @property
    def next_row(self) -> int:
        """The row that comes next."""
        return self._next

    def restart(self) -> None:
        """Begin at the top again."""
        import pyvips

        self._release()
        try:
            image = self._worker.submit(self._open).result()
            self._region = pyvips.Region.new(image)
        except OSError as error:
            raise ImageError(
                self.name, f"cannot be opened ({error.strerror})", "check that it is still there"
            ) from None
        except pyvips.Error as error:
            reason = f"the image is damaged or cut short ({_told(error)})"
            raise ImageError(self.name, reason, "copy it again") from None
        if (image.height, image.width) != self.size_hw or image.format not in ("uchar", "ushort"):
            reason = f"its header is unclear ({image.width} x {image.height} pixels of type {image.format})"
            raise ImageError(self.name, reason, "save it again as an ordinary JPEG or PNG")
        self._next, self._bands = 0, image.bands
        self._is_deep = image.format == "ushort"
        self._interpretation = image.interpretation

    def skip(self, count: int) -> None:
        """Pass over the next rows, which are decoded all the same."""
        for _ in self._decoded(count):
            pass

    def read(self, count: int) -> Iterator[NDArray[np.uint8]]:
        """The next ``count`` rows, a few at a time: ``uint8 (rows, W, 3)``, grey where they cannot be decoded.

        Raises:
            ImageError: Not one row of the image can be decoded.
        """
        if self._is_deep and self._brightest is None:
            self._brightest = self._find_brightest()
        width = self.size_hw[1]
        for rows, raw in self._decoded(count):
            if self.damage is not None and self.damage.row == 0:
                raise ImageError(
                    self.name, f"the image is damaged or cut short ({self.damage.reason})", "copy it again"
                )
            yield np.full((rows, width, 3), MISSING_GREY, np.uint8) if raw is None else self._as_rgb(raw)

    def lost(self, part: Rectangle) -> tuple[tuple[Rectangle, ...], str]:
        """All rows that cannot be decoded, where a part has some of them, as far as the image was read; and why."""
        if self.damage is None or self.damage.row >= part.y + part.height:
            return (), ""
        height, width = self.size_hw
        return (Rectangle(self.damage.row, 0, height - self.damage.row, width),), self.damage.reason

    def close(self) -> None:
        """Release the file."""
        self._release()
        self._worker.shutdown()

    def _open(self) -> Any:
        """The image, of which nothing is decoded yet."""
        import pyvips

        source = self._source
        self._file = io.BytesIO(source) if isinstance(source, bytes) else io.BufferedReader(io.FileIO(source))
        self._asked = pyvips.SourceCustom()
        self._asked.on_read(self._file.read)
        self._asked.on_seek(self._file.seek)
        load = getattr(pyvips.Image, self._loader)  # this one alone: no other decoder sees a stranger's file
        return load(self._asked, access="sequential", fail_on=self._fail_on, **_options(self._loader))

    def _release(self) -> None:
        self._region = None
        self._asked = None  # after the region, which asks it
        self._file.close()

    def _decoded(self, count: int) -> Iterator[tuple[int, NDArray[Any] | None]]:
        """How many rows, and their pixels as stored ``(rows, W, channels)``; None where they cannot be decoded."""
        left = count
        while left > 0:
            if self.damage is not None and self._next >= self.damage.row:
                self._next += left
                yield left, None
                return
            rows = min(_ROWS, left)
            raw = self._fetch(rows)
            left, self._next = left - rows, self._next + rows
            yield rows, raw

    def _fetch(self, rows: int) -> NDArray[Any] | None:
        import pyvips

        width = self.size_hw[1]
        try:
            content = self._worker.submit(self._region.fetch, 0, self._next, width, rows).result()
        except pyvips.Error as error:
            told = _told(error)
            if self._fail_on == "warning" and any(words in told for words in _HARMLESS):
                place, self._fail_on = self._next, "truncated"
                self.restart()
                self.skip(place)
                return self._fetch(rows)
            self.damage = Damage(self._next, told)
            return None
        return np.frombuffer(content, np.uint16 if self._is_deep else np.uint8).reshape(rows, width, self._bands)

    def _find_brightest(self) -> int:
        """The largest value of a colour in the whole image, for which it is decoded once more."""
        place, brightest = self._next, 0
        self.restart()
        for _, raw in self._decoded(self.size_hw[0]):
            if raw is not None:
                brightest = max(brightest, int(raw[:, :, : _colours(raw.shape[2])].max()))
        self.restart()
        self.skip(place)
        return brightest

    def _as_rgb(self, raw: NDArray[Any]) -> NDArray[np.uint8]:
        if self._is_deep:
            raw = self._as_8_bit(raw)
        bands = raw.shape[2]
        if bands == 1:
            return np.repeat(raw, 3, axis=2)
        if bands == 3:
            return raw
        mode = "LA" if bands == 2 else "CMYK" if self._interpretation == "cmyk" else "RGBA"
        height, width = raw.shape[:2]
        return np.asarray(as_rgb(Image.frombytes(mode, (width, height), raw.tobytes())))

    def _as_8_bit(self, raw: NDArray[np.uint16]) -> NDArray[np.uint8]:
        """By the rules of :func:`objectness.images.open_upright`."""
        brightest, colours = self._brightest or 0, _colours(raw.shape[2])
        if not self._is_grey and (colours == 1 or brightest > _14_BITS):
            return (raw >> 8).astype(np.uint8)
        scaled = raw[:, :, :colours] * np.float32(255 / bit_range(brightest)) + np.float32(0.5)
        colour = scaled.astype(np.uint8)
        if self._is_grey or raw.shape[2] == colours:
            return colour
        return np.concatenate([colour, (raw[:, :, colours:] >> 8).astype(np.uint8)], axis=2)


def require_pyvips(kind: str) -> None:
    """Refuse to go on without pyvips; keep its warnings off the screen, and its cache from keeping files open.

    The cache belongs to the whole process, and only makes repeated operations quicker. It would also keep decoders
    that ask for bytes after there is nobody left to answer, which ends the process.

    Raises:
        NotInstalledError: with the command that installs it.
    """
    try:
        import pyvips
    except (ImportError, OSError):  # no package; a package without its library
        raise NotInstalledError(f"{kind} files in parts need pyvips: {how_to_install('huge')}.") from None
    pyvips.cache_set_max(0)
    logger = logging.getLogger(pyvips.__name__)
    if not any(isinstance(handler, logging.NullHandler) for handler in logger.handlers):
        logger.addHandler(logging.NullHandler())


def _options(loader: str) -> dict[str, bool]:
    """The size was checked before, and the decoder's own limit would refuse what the user allowed."""
    return {"unlimited": True} if loader in ("jpegload_source", "pngload_source") else {}


def _colours(bands: int) -> int:
    """How many channels are colours, of grey, grey and alpha, RGB, RGBA."""
    return 1 if bands < 3 else 3


def _told(error: BaseException) -> str:
    """What a decoder told of an error, without the names of its parts."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].split(": ", 1)[-1].removeprefix("Corrupt JPEG data: ")[:200] if lines else type(error).__name__
