"""The one interface of everything that reads a part of an image. Sizes are (height, width) in upright pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

MISSING_GREY = 128
"""Of pixels that could not be decoded."""


class Rectangle(NamedTuple):
    """A part of an image in whole pixels: ``y`` and ``x`` of its upper left corner, and its size."""

    y: int
    x: int
    height: int
    width: int


@dataclass(frozen=True, eq=False)
class Window:
    """The pixels of a part of an image.

    Attributes:
        pixels: ``uint8 (height, width, 3)`` RGB, upright; grey 128 where nothing could be decoded.
        missing: The parts that could not be decoded, in pixels of the whole image; they may reach beyond the window.
        reason: Why the first of them could not, in a few words; empty where nothing is missing.
    """

    pixels: NDArray[np.uint8]
    missing: tuple[Rectangle, ...] = ()
    reason: str = ""


class WindowReader(Protocol):
    """An open image. One call at a time; equal windows give equal pixels."""

    @property
    def name(self) -> str:
        """Name of the image, for messages."""

    @property
    def size_hw(self) -> tuple[int, int]:
        """(height, width) of the upright image."""

    @property
    def in_order(self) -> bool:
        """Whether windows are quick only from top to bottom: one that begins above the last starts the file anew."""

    def window(self, part: Rectangle) -> Window:
        """The pixels of a part that lies inside the image.

        Raises:
            InputError: Nothing of the image can be read any more; a part that cannot be decoded is ``missing`` instead.
        """

    def close(self) -> None:
        """Release the file."""
