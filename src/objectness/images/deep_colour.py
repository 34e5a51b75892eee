"""Colour of 16 bits a channel, of which Pillow keeps the higher eight: where these are nearly empty, all are read.

Cameras and microscopes write 10, 12 or 14 bits into files of 16, and the higher eight bits of these are nearly black.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
from PIL import Image

from objectness.images.pixel_formats import bit_range

# Names of Pillow's decoders for 16 bits a channel in either order of bytes: read in the other order, the byte that is
# kept is the lower one. "N" is the machine's own order.
_OTHER_ORDER = {
    f"{bands};16{own}": f"{bands};16{other}"
    for bands in ("RGB", "RGBX", "RGBA")
    for own, other in (("B", "L"), ("L", "B"), ("N", "B" if sys.byteorder == "little" else "L"))
}
_DARK = 64  # higher bytes below this are those of 14 bits or fewer


def is_deep_colour(image: Image.Image) -> bool:
    """Whether the decoder will read colour of 16 bits a channel; False for an image that is decoded."""
    tiles = getattr(image, "tile", None)
    if not tiles or image.mode not in ("RGB", "RGBA"):
        return False
    args = tiles[0][3]
    return (args[0] if isinstance(args, tuple) else args) in _OTHER_ORDER


def with_lower_bytes(image: Image.Image, again: Callable[[], AbstractContextManager[Image.Image]]) -> Image.Image:
    """The image, scaled from the smallest range of bits that holds it, where that is not all 16.

    Args:
        image: Decoded; before that it was :func:`is_deep_colour`.
        again: Opens the same file.
    """
    if "transparency" in image.info:
        return image
    if max(image.getchannel(band).getextrema()[1] for band in "RGB") >= _DARK:  # type: ignore[operator]
        return image
    with again() as lower:
        lower.tile = [  # type: ignore[attr-defined]
            tile._replace(args=_in_other_order(tile.args))
            for tile in lower.tile  # type: ignore[attr-defined]
        ]
        lower.load()
        values = np.asarray(image)[:, :, :3].astype(np.uint16) * 256 + np.asarray(lower)[:, :, :3]
    scale = np.float32(255 / bit_range(float(values.max())))
    colour = Image.fromarray((values * scale + np.float32(0.5)).astype(np.uint8))
    if image.mode == "RGBA":
        colour.putalpha(image.getchannel("A"))
    return colour


def _in_other_order(args: object) -> object:
    if isinstance(args, tuple):
        return (_OTHER_ORDER[args[0]], *args[1:])
    return _OTHER_ORDER[str(args)]
