"""Orientation of photographs: the one place that reads it."""

from __future__ import annotations

import struct
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from objectness.images.damage import DAMAGED

LYING = frozenset({5, 6, 7, 8})
"""EXIF orientations that swap height and width."""

_TIFF_WIDTH, _TIFF_HEIGHT, _ORIENTATION = 0x0100, 0x0101, 0x0112
_PNG_METADATA = frozenset({b"eXIf", b"tEXt", b"zTXt", b"iTXt"})


def orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8, that is left to apply, wherever the format keeps it (EXIF, XMP, a raw profile).

    Nothing is decoded for it, unless a PNG carries its metadata behind the pixels. The decoder of a TIFF turns the
    pixels itself, so that nothing is left to apply.
    """
    try:
        file = getattr(image, "fp", None)
        if image.format == "PNG" and getattr(image, "tile", None):  # not decoded yet
            if file is not None and _has_metadata_behind_pixels(file):
                image.load()
            # Pillow's own method for PNG decodes the whole file wherever there is no EXIF in front.
            found = Image.Image.getexif(image).get(_ORIENTATION, 1)
        else:
            found = image.getexif().get(_ORIENTATION, 1)
    except DAMAGED:
        return 1  # a photograph with broken metadata is still a photograph
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def upright_size(image: Image.Image) -> tuple[int, int]:
    """(height, width) of an opened image after its orientation."""
    # Some versions of Pillow give a TIFF's size as stored, others upright: its tags are as stored.
    tags = getattr(image, "tag_v2", {}) if image.format == "TIFF" else {}
    width, height = tags.get(_TIFF_WIDTH, image.width), tags.get(_TIFF_HEIGHT, image.height)
    return (width, height) if orientation(image) in LYING else (height, width)


def as_stored(upright: NDArray[np.uint8], turned: int) -> NDArray[np.uint8]:
    """A view of an upright array ``(H, W, 3)`` in the order in which a file of this orientation stores its pixels."""
    match turned:
        case 2:
            return upright[:, ::-1]
        case 3:
            return upright[::-1, ::-1]
        case 4:
            return upright[::-1]
        case 5:
            return upright.swapaxes(0, 1)
        case 6:
            return upright[:, ::-1].swapaxes(0, 1)
        case 7:
            return upright[::-1, ::-1].swapaxes(0, 1)
        case 8:
            return upright[::-1].swapaxes(0, 1)
        case _:
            return upright


def _has_metadata_behind_pixels(file: IO[bytes]) -> bool:
    """Whether a PNG has text or EXIF behind its first piece of pixels; the file stays where it was."""
    place = file.tell()
    try:
        at, seen_pixels = 8, False
        while True:
            file.seek(at)
            head = file.read(8)
            if len(head) < 8:
                return False
            length, kind = struct.unpack(">I4s", head)
            if kind == b"IEND":
                return False
            if seen_pixels and kind in _PNG_METADATA:
                return True
            seen_pixels = seen_pixels or kind == b"IDAT"
            at += 12 + length
    finally:
        file.seek(place)
