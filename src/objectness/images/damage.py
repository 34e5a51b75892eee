"""Damaged image files: the one list of exceptions of decoders, and the one error made of them."""

from __future__ import annotations

import struct
import zlib

from PIL import Image

from objectness.errors import InputError

MISSING = "is missing"

DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    RuntimeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""Exceptions of Pillow's decoders for damaged bytes; few are Pillow's own."""


class ImageError(InputError):
    """An image that cannot be used.

    Args:
        name: The file, or another name for messages.
        reason: The fault, as the rest of a sentence about the image.
        advice: A remedy.

    Attributes:
        reason: As given, for reports that name the file elsewhere.
    """

    def __init__(self, name: str, reason: str, advice: str) -> None:
        super().__init__(f"{name}: {reason}; {advice}.")
        self.reason = reason
        self._given = (name, reason, advice)

    def __reduce__(self) -> tuple[type[ImageError], tuple[str, str, str]]:
        """Errors of worker processes are pickled, and would be made again of their sentence alone."""
        return type(self), self._given


def damaged(name: str, error: BaseException) -> ImageError:
    """The error for an image whose decoder raised ``error``."""
    if isinstance(error, MemoryError):
        return ImageError(name, "does not fit into memory", "make it smaller")
    if isinstance(error, Image.DecompressionBombError):
        advice = "set PIL.Image.MAX_IMAGE_PIXELS if you trust it"
        return ImageError(name, f"Pillow's own limit refuses it ({_on_one_line(error)})", advice)
    return ImageError(name, f"the image is damaged or cut short ({_on_one_line(error)})", "copy it again")


def _on_one_line(error: BaseException) -> str:
    """The text of an error, on one line."""
    return " ".join(str(error).split()).rstrip(".")[:200] or type(error).__name__
