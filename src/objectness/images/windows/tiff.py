"""Windows of a TIFF, decoded strip by strip or tile by tile with tifffile and imagecodecs (extra "huge").

Tiled and strip TIFF, BigTIFF, OME-TIFF, GeoTIFF and COG: the first page, which is the full level of a pyramid. Memory:
the width of the image times the height of a window and one row of strips or tiles, three bytes a pixel.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import IO, Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from objectness.errors import InputError
from objectness.images.damage import DAMAGED, ImageError, damaged
from objectness.images.frames import count_pages
from objectness.images.upright import LYING, as_stored
from objectness.images.windows.header import Header
from objectness.images.windows.protocol import MISSING_GREY, Rectangle, Window
from objectness.images.windows.spooled_reader import SpooledReader
from objectness.images.windows.tiff_colours import Colours, colours_of
from objectness.images.windows.tiff_segments import DamagedPartError, Segments
from objectness.images.windows.turning import stored_part, upright_part

_MOST_RGB_PIXELS = 1 << 23  # of a segment that is kept as RGB
_SPOOLED_BYTES = 1 << 23


class _Kept(NamedTuple):
    """A segment and its decoded part: RGB, or samples where it is large; no pixels where it is damaged."""

    segment: Rectangle
    box: Rectangle
    pixels: NDArray[Any] | None
    is_rgb: bool = True
    reason: str = ""


class TiffReader:
    """The first page of a TIFF; see ``WindowReader``.

    Decoded segments are kept as long as they share rows (columns, where the image lies on its side) with the window at
    hand, so that the windows of one row decode each segment once, and the next row decodes no more than it adds.
    """

    def __init__(self, file: Any, segments: Segments, colours: Colours, header: Header, remarks: tuple[str, ...]):
        self.name = header.name
        self.remarks = remarks
        self.size_hw = header.size_hw
        self.in_order = segments.in_order
        self._file, self._segments, self._colours, self._turned = file, segments, colours, header.turned
        self._limits = (0.0, 255.0)
        self._has_limits = not colours.needs_limits
        self._kept: dict[tuple[int, int], _Kept] = {}

    def window(self, part: Rectangle) -> Window:
        """The pixels of a part.

        The first window of an image of more than 8 bits a sample reads the whole image once before, for its range of
        values: until whole numbers show that all 16 bits are used, or to its end.
        """
        stored = stored_part(part, self.size_hw, self._turned)
        pixels = np.empty((part.height, part.width, 3), dtype=np.uint8)
        there = as_stored(pixels, self._turned)
        self._forget(stored)
        missing: list[Rectangle] = []
        reason = ""
        for key in self._segments.keys(stored):
            kept = self._kept.get(key)
            segment = kept.segment if kept else self._segments.rectangle(key)
            common = _common(segment, stored)
            target = there[common.y - stored.y :, common.x - stored.x :][: common.height, : common.width]
            if kept is None or (kept.box is not segment and _common(kept.box, common) != common):
                kept = self._kept[key] = self._decoded(key, segment, common, stored)
            if kept.pixels is None:
                target[:] = MISSING_GREY
                missing.append(upright_part(segment, self._segments.hw, self._turned))
                reason = reason or kept.reason
            else:
                shown = kept.pixels[common.y - kept.box.y :, common.x - kept.box.x :][: common.height, : common.width]
                target[:] = shown if kept.is_rgb else self._colours.rgb(shown, self._limits)
        return Window(pixels, tuple(missing), reason)

    def close(self) -> None:
        """Release the file and the memory."""
        self._kept.clear()
        self._file.close()

    def _decoded(self, key: tuple[int, int], segment: Rectangle, needed: Rectangle, window: Rectangle) -> _Kept:
        """What is to be kept of a segment; it holds the part that is needed."""
        if not self._has_limits:
            self._limits = self._colours.limits(self._pieces())
            self._has_limits = True
        try:
            samples = self._segments.samples(key)
        except DamagedPartError as error:
            return _Kept(segment, segment, None, reason=str(error))
        box = segment
        # Of a strip of an image that lies on its side only the columns at hand: all strips meet them.
        if self._turned in LYING and segment.width > 2 * window.width:
            box = Rectangle(segment.y, needed.x, segment.height, needed.width)
            samples = samples[:, needed.x - segment.x :][:, : needed.width]
        is_rgb = box.height * box.width <= _MOST_RGB_PIXELS
        pixels = self._colours.rgb(samples, self._limits) if is_rgb else samples
        is_part = box is not segment or pixels.shape[2] < samples.shape[2]  # of what would be kept with it
        return _Kept(segment, box, pixels.copy() if pixels.base is not None and is_part else pixels, is_rgb)

    def _forget(self, window: Rectangle) -> None:
        """Drop what lies outside the rows (columns, where the image lies on its side) of a window."""
        if self._turned in LYING:
            begin, end = window.x, window.x + window.width
            gone = [key for key, (_, box, *_) in self._kept.items() if box.x >= end or box.x + box.width <= begin]
        else:
            begin, end = window.y, window.y + window.height
            gone = [key for key, (_, box, *_) in self._kept.items() if box.y >= end or box.y + box.height <= begin]
        for key in gone:
            del self._kept[key]

    def _pieces(self) -> Any:
        for key in self._segments.all_keys():
            try:
                yield self._segments.samples(key)
            except DamagedPartError:
                continue


class _StoredRows:
    """The rows of a TIFF as stored, once from top to bottom; see ``Rows``."""

    def __init__(self, reader: TiffReader) -> None:
        self.name, self.size_hw = reader.name, reader.size_hw
        self._reader = reader
        self._missing: dict[Rectangle, str] = {}

    def restart(self) -> None:
        self._missing.clear()

    def read(self, count: int) -> Iterator[NDArray[np.uint8]]:
        height, width = self.size_hw
        at_once = max(1, _SPOOLED_BYTES // (3 * width))
        for y in range(0, count, at_once):
            window = self._reader.window(Rectangle(y, 0, min(at_once, height - y), width))
            self._missing |= dict.fromkeys(window.missing, window.reason)
            yield window.pixels

    def lost(self, part: Rectangle) -> tuple[tuple[Rectangle, ...], str]:
        found = {box: reason for box, reason in self._missing.items() if _common(box, part).height > 0}
        return tuple(found), next(iter(found.values()), "")

    def close(self) -> None:
        self._reader.close()


def open_tiff(header: Header) -> TiffReader | SpooledReader:
    """Open the first page of a TIFF.

    Strips of an image that lies on its side, and a large deflated strip of one that stands on its head, would be
    decoded again for each row of windows: such a file is decoded once into a temporary one, if there is room.

    Raises:
        ImageError: It is damaged, or of a kind that is not read in parts.
    """
    import tifffile

    logging.getLogger("tifffile").addHandler(logging.NullHandler())  # its remarks on odd tags are no news here
    source: Any = io.BytesIO(header.source) if isinstance(header.source, bytes) else header.source
    file: Any = None
    try:
        file = tifffile.TiffFile(source)
        page = file.pages[0]
        if (page.imagelength, page.imagewidth) != header.stored_hw:
            raise ImageError(header.name, "is a TIFF whose first page has two sizes", "save it again")
        colours = colours_of(page, header.name)
        handle = cast("IO[bytes]", file.filehandle)
        segments = Segments(page, header.name, file.filehandle.size)
        pages = count_pages(handle)
    except (MemoryError, tifffile.TiffFileError, *DAMAGED) as error:
        if file is not None:
            file.close()
        raise error if isinstance(error, InputError) else damaged(header.name, error) from None
    remarks = colours.remarks
    if pages > 1:
        remarks += (f"{header.name}: the first of its {pages} pages is read.",)
    lies = header.turned in LYING and segments.is_full_width
    if lies or (segments.in_order and header.turned not in (1, 2)):
        stored = replace(header, size_hw=header.stored_hw, turned=1)
        with suppress(ImageError):  # no room
            return SpooledReader(_StoredRows(TiffReader(file, segments, colours, stored, ())), header.turned, remarks)
    return TiffReader(file, segments, colours, header, remarks)


def _common(one: Rectangle, other: Rectangle) -> Rectangle:
    """The rectangle that both share; sides of 0 where they share none."""
    y, x = max(one.y, other.y), max(one.x, other.x)
    height = max(0, min(one.y + one.height, other.y + other.height) - y)
    width = max(0, min(one.x + one.width, other.x + other.width) - x)
    return Rectangle(y, x, height, width)
