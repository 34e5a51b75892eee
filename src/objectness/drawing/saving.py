"""Pictures as files, whole or not at all."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from objectness.errors import InputError
from objectness.files.atomic_write import replacing_bytes

_JPEG_SUFFIXES = (".jpg", ".jpeg")
_SOFTWARE = "objectness"


def save_picture(picture: Image.Image, path: Path, *, quality: int = 90, optimize: bool = False) -> None:
    """Write a picture as JPEG where its name ends so, else as PNG.

    Args:
        picture: What was drawn.
        path: The file; its folder is made where it is missing.
        quality: Of a JPEG.
        optimize: Take the time to make a PNG smaller.

    Raises:
        InputError: the place cannot be written to, or a JPEG cannot be so large.
    """
    encoded = BytesIO()  # a full disk is then found by us and not by an encoder, which would hide the reason
    try:
        if path.suffix.lower() in _JPEG_SUFFIXES:
            picture.save(encoded, "JPEG", quality=quality)
        else:
            said = PngInfo()
            said.add_text("Software", _SOFTWARE)
            picture.save(encoded, "PNG", optimize=optimize, pnginfo=said)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be drawn at {picture.width} x {picture.height} pixels ({error}).") from None
    with replacing_bytes(path) as file:
        file.write(encoded.getbuffer())


def is_drawn_by_us(path: Path) -> bool:
    """Whether a PNG says that it is a picture of ours."""
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            return picture.info.get("Software") == _SOFTWARE
    except (OSError, ValueError, SyntaxError):
        return False
