"""From whatever a file or an array holds to RGB ``uint8``: transparency, palettes, 16 bits, floats."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from objectness.errors import InputError
from objectness.images.upright import LYING, as_stored

_STRIP_PIXELS = 1 << 22
# Largest values of 8 to 16 bits: cameras and scanners write 10, 12 or 14 bits into files of 16.
_BIT_RANGES = (255.0, 1023.0, 4095.0, 16383.0, 65535.0)


def as_rgb(image: Image.Image) -> Image.Image:
    """A decoded image as mode RGB, laid on white where it is transparent; grey of more than 8 bits is scaled."""
    return _strip_as_rgb(image, _grey_range(image) if _is_deep_grey(image) else (0.0, 255.0))


def upright_array(image: Image.Image, turned: int) -> NDArray[np.uint8]:
    """A decoded image as RGB ``(H, W, 3)``, turned upright.

    Strip by strip, so that no second and third copy of a large image is made on the way.

    Args:
        image: Of any mode.
        turned: The EXIF orientation in which its pixels are stored.
    """
    width, height = image.size
    limits = _grey_range(image) if _is_deep_grey(image) else (0.0, 255.0)
    upright = np.empty((width, height, 3) if turned in LYING else (height, width, 3), dtype=np.uint8)
    stored = as_stored(upright, turned)
    for top, strip in _strips(image):
        stored[top : top + strip.height] = np.asarray(_strip_as_rgb(strip, limits))
    return upright


def to_array(image: Image.Image) -> NDArray[np.uint8]:
    """The pixels as an array that may be written to (``np.array`` of a PIL image takes twice the time)."""
    return np.asarray(image).copy()


def _strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """The first row of each strip, and the strip; a small image is a single one."""
    width, height = image.size
    rows = max(1, _STRIP_PIXELS // max(1, width))
    if rows >= height:
        yield 0, image
        return
    for top in range(0, height, rows):
        yield top, image.crop((0, top, width, min(height, top + rows)))


def _strip_as_rgb(image: Image.Image, limits: tuple[float, float]) -> Image.Image:
    if _is_deep_grey(image):
        return Image.fromarray(grey_as_8_bit(np.asarray(image), limits)).convert("RGB")
    if image.has_transparency_data:
        return on_white(image.convert("RGBA"))
    return image if image.mode == "RGB" else image.convert("RGB")


def on_white(rgba: Image.Image) -> Image.Image:
    """An image of mode RGBA over white, as mode RGB."""
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")


def _is_deep_grey(image: Image.Image) -> bool:
    return image.mode.startswith("I") or image.mode == "F"


def grey_as_8_bit(deep: NDArray[Any], limits: tuple[float, float]) -> NDArray[np.uint8]:
    """Values of any type as 8 bits, from the one that becomes black to the one that becomes white."""
    low, high = limits
    values = deep.astype(np.float32)
    np.nan_to_num(values, copy=False, nan=low, posinf=high, neginf=low)
    values -= low
    values *= 255 / (high - low) if high > low else 0
    values += 0.5
    return np.clip(values, 0, 255).astype(np.uint8)


def _grey_range(image: Image.Image) -> tuple[float, float]:
    """The values that become black and white (see :func:`objectness.images.open_upright`)."""
    low, high = np.inf, -np.inf
    for _, strip in _strips(image):
        values = np.asarray(strip)
        finite = values[np.isfinite(values)] if image.mode == "F" else values
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    return grey_limits(low, high, is_float=image.mode == "F")


def grey_limits(low: float, high: float, *, is_float: bool) -> tuple[float, float]:
    """The values that become black and white, of an image whose finite values reach from ``low`` to ``high``.

    An image without any finite value has a ``high`` below its ``low``.
    """
    if high < low:
        return 0.0, 1.0
    if low < 0 or high > _BIT_RANGES[-1]:
        return low, high
    if is_float and high <= 1:
        return 0.0, 1.0
    if is_float and high < _BIT_RANGES[0] / 4:
        return 0.0, high  # light above white, as high dynamic range has it
    return 0.0, bit_range(high)


def bit_range(largest: float) -> float:
    """The largest value of 8, 10, 12, 14 or 16 bits, the fewest that hold ``largest``."""
    return next(limit for limit in _BIT_RANGES if largest <= limit)


def array_as_rgb(array: NDArray[Any]) -> NDArray[np.uint8]:
    """An array ``(H, W)``, ``(H, W, 1)``, RGB or RGBA as RGB ``(H, W, 3)``.

    Raises:
        InputError: Another shape or type, or no pixels.
    """
    array = np.asarray(array)  # a matrix or a masked array is an array all the same
    shape = array.shape
    if (
        array.dtype != np.uint8
        or array.size == 0
        or not (len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3, 4)))
    ):
        raise InputError(
            f"The array has shape {shape} and type {array.dtype}; expected uint8 of shape (height, width), "
            "(height, width, 1), (height, width, 3) RGB or (height, width, 4) RGBA, with at least one pixel."
        )
    if len(shape) == 2:
        return np.repeat(array[:, :, None], 3, axis=2)
    if shape[2] == 1:
        return np.repeat(array, 3, axis=2)
    if shape[2] == 4:
        return upright_array(Image.fromarray(np.ascontiguousarray(array)), 1)
    return np.ascontiguousarray(array)
