"""From whatever a file or an array holds to RGB ``uint8``: transparency, palettes, 16 bits, floats."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from objectness.errors import InputError


def as_rgb(image: Image.Image) -> Image.Image:
    """A decoded image as mode RGB, laid on white where it is transparent."""
    if image.mode.startswith("I") or image.mode == "F":
        return _grey_as_8_bit(image).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def to_array(image: Image.Image) -> NDArray[np.uint8]:
    """The pixels as an array that may be written to (``np.array`` of a PIL image takes twice the time)."""
    return np.asarray(image).copy()


def _grey_as_8_bit(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.float32)
    # Pillow reads 16-bit PGM as "I", stretched to 0..65535 by the file's own maximum.
    sixteen_bit = image.mode.startswith("I;16") or image.format == "PPM"
    low, high = (0.0, 65535.0) if sixteen_bit else _value_range(values, is_float=image.mode == "F")
    np.nan_to_num(values, copy=False, nan=low, posinf=high, neginf=low)
    values -= low
    values *= 255 / (high - low) if high > low else 0
    values += 0.5
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def _value_range(values: NDArray[np.float32], *, is_float: bool) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    usual = (1.0, 255.0, 65535.0) if is_float else (255.0, 65535.0)
    full = next((limit for limit in usual if high <= limit), None)
    return (0.0, full) if low >= 0 and full is not None else (low, high)


def array_as_rgb(array: NDArray[Any]) -> NDArray[np.uint8]:
    """An array ``(H, W)``, ``(H, W, 1)``, RGB or RGBA as RGB ``(H, W, 3)``.

    Raises:
        InputError: Another shape or type, or no pixels.
    """
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
        return to_array(as_rgb(Image.fromarray(np.ascontiguousarray(array))))
    return np.ascontiguousarray(array)
