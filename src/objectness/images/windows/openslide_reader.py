"""Windows of slides: SVS, NDPI, MRXS, SCN and others that openslide reads (extra "wsi"), at their full level."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from objectness.images.pixel_formats import on_white
from objectness.images.windows.header import Header
from objectness.images.windows.pieces import read_piecewise
from objectness.images.windows.protocol import Rectangle, Window
from objectness.images.windows.slide_file import error_text, open_slide

_SIDE_OF_TILES = 256  # where the file does not say


class OpenSlideReader:
    """A slide; see ``WindowReader``. What was not scanned is white.

    After the first error a slide answers every question with this error: it is opened again then.

    Args:
        header: Of a slide.

    Raises:
        InputError: It is damaged, or files that belong to it are missing.
    """

    in_order = False

    def __init__(self, header: Header) -> None:
        assert isinstance(header.source, str)
        self.name = header.name
        self._path, self._slide = header.source, open_slide(header.source)
        width, height = self._slide.dimensions
        self.size_hw: tuple[int, int] = (height, width)
        self._tile_hw = self._numbers("level[0].tile-height", "level[0].tile-width") or (_SIDE_OF_TILES,) * 2
        self._lost: dict[Rectangle, str] = {}

    @property
    def scanned_part(self) -> Rectangle | None:
        """The part outside of which nothing was scanned (openslide's "bounds"); None where the file does not say."""
        found = self._numbers("bounds-y", "bounds-x", "bounds-height", "bounds-width")
        return None if found is None else Rectangle(*found)

    @property
    def remarks(self) -> tuple[str, ...]:
        """Sentences for the user about the way it is read."""
        part = self.scanned_part
        if part is None or (part.height, part.width) == self.size_hw:
            return ()
        return (
            f"{self.name}: {part.width} x {part.height} pixels from ({part.x}, {part.y}) on were scanned; "
            "the rest is white.",
        )

    def window(self, part: Rectangle) -> Window:
        """See :class:`objectness.images.windows.protocol.WindowReader`."""
        if not self._lost:
            found = self._read(part)
            if not isinstance(found, str):
                return Window(found)
        return read_piecewise(part, self.size_hw, self._tile_hw, self._read_tile)

    def close(self) -> None:
        """Release the file."""
        self._slide.close()

    def _read_tile(self, piece: Rectangle) -> NDArray[np.uint8] | str:
        """A part of one tile; a tile that could not be decoded once is not tried again."""
        height, width = self._tile_hw
        tile = Rectangle(piece.y // height, piece.x // width, height, width)
        if tile in self._lost:
            return self._lost[tile]
        found = self._read(piece)
        if isinstance(found, str):
            self._lost[tile] = found
        return found

    def _read(self, part: Rectangle) -> NDArray[np.uint8] | str:
        import openslide

        try:
            region = self._slide.read_region((part.x, part.y), 0, (part.width, part.height))
        except (openslide.OpenSlideError, OSError) as error:
            self._slide.close()
            self._slide = open_slide(self._path)
            return error_text(error)
        return np.asarray(on_white(region))

    def _numbers(self, *names: str) -> Any:
        """Whole numbers of the slide's properties; None unless all are there."""
        found = [self._slide.properties.get(f"openslide.{name}", "") for name in names]
        return tuple(map(int, found)) if all(text.isdecimal() for text in found) else None
