"""Any photograph as upright RGB pixels, with a sentence for each one that cannot be read.

Images are ``uint8 (H, W, 3)`` RGB after EXIF orientation; sizes are (height, width).
"""

from __future__ import annotations

import os
import stat
import struct
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from objectness.errors import InputError
from objectness.images.pixel_formats import array_as_rgb, as_rgb, to_array

Source = str | os.PathLike[str] | Image.Image | NDArray[Any]

# Twice the size at which Pillow begins to warn: what its own guard calls a decompression bomb.
DEFAULT_MAX_PIXELS = 178_000_000

# A JPEG is decoded at half, a quarter or an eighth of its size where that still is this much larger than wanted:
# the rest of the way is an antialiased resize, so that boxes stay where they are.
_DRAFT_MARGIN = 2.0

PHOTO_SUFFIXES = frozenset(
    {".avif", ".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".mpo"}
    | {".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp"}
)

_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_LYING = (5, 6, 7, 8)  # orientations that swap height and width

# What Pillow's decoders raise on damaged bytes: they are many, and few are its own.
_DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    OverflowError,
    AssertionError,
    AttributeError,
    RuntimeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


@dataclass(frozen=True, eq=False)
class Fitted:
    """A photograph at the size that a network wants.

    Attributes:
        pixels: ``uint8 (h, w, 3)`` RGB, upright and resized.
        size_hw: (height, width) of the upright photograph.
        image: The photograph itself ``uint8 (H, W, 3)``, where it was asked for.
    """

    pixels: NDArray[np.uint8]
    size_hw: tuple[int, int]
    image: NDArray[np.uint8] | None = None


def open_fitted(
    source: Source,
    short_side: int,
    long_side: int,
    *,
    max_pixels: int | None = DEFAULT_MAX_PIXELS,
    keep_image: bool = False,
) -> Fitted:
    """Read a photograph at the size of :func:`fit_size_hw`, decoding no more of a large JPEG than that takes.

    The pixels are the same whether the image is kept or not.

    Args:
        source: See :func:`open_upright`; raises the same.
        short_side: See :func:`fit_size_hw`.
        long_side: See :func:`fit_size_hw`.
        max_pixels: Refuse larger files and PIL images before they are decoded; None for no limit.
        keep_image: Hand out the whole photograph too.
    """
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        _check_file(path)
        try:
            with path.open("rb") as file:
                drafted = _decode_small(_read_header(file, path), str(path), max_pixels, short_side, long_side)
        except OSError as error:
            raise InputError(f"{path}: cannot be opened ({error.strerror or error}).") from None
        if drafted is not None:
            return replace(drafted, image=open_upright(path, max_pixels=max_pixels)) if keep_image else drafted
    image = open_upright(source, max_pixels=max_pixels)
    size_hw = (image.shape[0], image.shape[1])
    pixels = resize(image, fit_size_hw(size_hw, short_side, long_side))
    return Fitted(pixels, size_hw, image if keep_image else None)


def open_upright(source: Source, *, max_pixels: int | None = DEFAULT_MAX_PIXELS) -> NDArray[np.uint8]:
    """Read a photograph as RGB, turned as its EXIF orientation says.

    Transparent pixels are laid on white. 16-bit grey is scaled from 0..65535. Other grey of more than 8 bits
    ("I", "F") is scaled from the smallest of the ranges 0..1 (floats only), 0..255, 0..65535 that holds it,
    else from its own minimum to its own maximum. Of an animation the first frame counts.

    Args:
        source: A file, a PIL image (as it stands, its EXIF orientation applied), or a ``uint8`` array
            ``(H, W)``, ``(H, W, 1)``, ``(H, W, 3)`` RGB or ``(H, W, 4)`` RGBA, which is taken to be upright.
        max_pixels: Refuse larger files and PIL images before they are decoded; None for no limit.

    Returns:
        ``uint8 (H, W, 3)``; an RGB array that is passed in is not copied.

    Raises:
        InputError: The source cannot be read: missing, empty, damaged, too large, not an image, or an array
            of another shape or type.
    """
    if isinstance(source, np.ndarray):
        return array_as_rgb(source)
    if isinstance(source, Image.Image):
        return _decode(source, describe(source), max_pixels)
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        _check_file(path)
        try:
            with path.open("rb") as file:
                return _decode(_read_header(file, path), str(path), max_pixels)
        except OSError as error:
            raise InputError(f"{path}: cannot be opened ({error.strerror or error}).") from None
    raise InputError(
        f"A photograph is a path, a PIL image or a NumPy array, but a {type(source).__name__} came; convert it first."
    )


def describe(source: Source) -> str:
    """What to call a photograph in a message: its file where there is one."""
    if isinstance(source, np.ndarray):
        return f"the array of shape {source.shape}"
    if isinstance(source, Image.Image):
        return str(getattr(source, "filename", "") or "the PIL image")
    return str(source)


def fit_size_hw(size_hw: tuple[int, int], short_side: int, long_side: int) -> tuple[int, int]:
    """The (height, width) at which the network sees an image (paper, section 3.3, and the cap of its code).

    The short side becomes ``short_side`` unless the long side would then pass ``long_side``; each side is
    rounded to the nearest pixel and at least 1.
    """
    height, width = size_hw
    scale = min(short_side / min(height, width), long_side / max(height, width))
    return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))


def resize(image: NDArray[np.uint8], size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize ``(H, W, 3)`` to (height, width), bilinear, antialiased when shrinking; no copy if it fits."""
    height, width = size_hw
    if image.shape[:2] == (height, width):
        return image
    return to_array(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))


def _check_file(path: Path) -> None:
    try:
        mode, size = path.stat().st_mode, path.stat().st_size
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file; check the path.") from None
    except (OSError, ValueError) as error:  # a folder above it is closed to us; a zero byte in the name
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{str(path)[:200]!r}: cannot be opened ({reason}).") from None
    if stat.S_ISDIR(mode):
        raise InputError(f"{path}: is a folder, where a photograph was expected; name the files in it.")
    if not stat.S_ISREG(mode):
        raise InputError(f"{path}: is not an ordinary file; save the photograph to one first.")
    if size == 0:
        raise InputError(f"{path}: the file is empty; copy or download it again.")


def _read_header(file: IO[bytes], path: Path) -> Image.Image:
    """Find the format and the size, decoding nothing.

    ``Image.open`` does this too, but it checks the size against ``Image.MAX_IMAGE_PIXELS``, a global of the
    whole process: raising our own limit would mean changing it under the feet of other threads.
    """
    prefix = file.read(16)
    tried: set[str] = set()
    for load_plugins in (Image.preinit, Image.init):
        load_plugins()
        for name in Image.ID:
            # Encapsulated PostScript is a program, and reading it would start Ghostscript.
            if name in tried or name == "EPS":
                continue
            tried.add(name)
            factory, accept = Image.OPEN[name]
            try:
                known = accept is None or accept(prefix)
                if known and not isinstance(known, str):  # a string: this build of Pillow cannot read it
                    file.seek(0)
                    return factory(file, str(path))
            except _DAMAGED:
                continue  # another format may know it
    raise InputError(f"{path}: is not an image, or is damaged in its first bytes; save it as JPEG or PNG.")


def _decode(image: Image.Image, name: str, max_pixels: int | None) -> NDArray[np.uint8]:
    _check_size(image, name, max_pixels)
    rgb, orientation = _load(image, name)
    if orientation in _UPRIGHT:
        rgb = rgb.transpose(_UPRIGHT[orientation])
    return to_array(rgb)


def _decode_small(
    image: Image.Image, name: str, max_pixels: int | None, short_side: int, long_side: int
) -> Fitted | None:
    """A large JPEG, shrunk while it is decoded; None where there is nothing to gain."""
    if image.format not in ("JPEG", "MPO"):
        return None
    _check_size(image, name, max_pixels)
    lies = _orientation(image) in _LYING
    height, width = image.size if lies else image.size[::-1]
    fitted_hw = fit_size_hw((height, width), short_side, long_side)
    stored_wh = fitted_hw if lies else fitted_hw[::-1]
    wanted_wh = int(stored_wh[0] * _DRAFT_MARGIN), int(stored_wh[1] * _DRAFT_MARGIN)
    if 2 * wanted_wh[0] > image.width or 2 * wanted_wh[1] > image.height:
        return None  # half its size would be too small
    draft = image.draft(None, wanted_wh)
    if draft is None:
        return None
    rgb, orientation = _load(image, name)
    # The box tells where the photograph ends: its size may be no multiple of what it was shrunk by.
    small = rgb.resize(stored_wh, Image.Resampling.BILINEAR, box=draft[1])
    if orientation in _UPRIGHT:
        small = small.transpose(_UPRIGHT[orientation])
    return Fitted(to_array(small), (height, width))


def _check_size(image: Image.Image, name: str, max_pixels: int | None) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise InputError(f"{name}: has no pixels (width {width}, height {height}).")
    if max_pixels is not None and width * height > max_pixels:
        raise InputError(
            f"{name}: has {width} x {height} = {width * height} pixels, more than the limit of {max_pixels}; "
            "raise max_pixels (--max-pixels) if you trust it."
        )


def _load(image: Image.Image, name: str) -> tuple[Image.Image, int | None]:
    """Decode: RGB as it is stored, and the EXIF orientation that is left to apply."""
    width, height = image.size
    try:
        image.load()
        return as_rgb(image), _orientation(image)
    except MemoryError:
        raise InputError(f"{name}: its {width} x {height} pixels do not fit into memory; make it smaller.") from None
    except _DAMAGED as error:
        raise InputError(f"{name}: the image is damaged or cut short ({_reason(error)}); copy it again.") from None


def _reason(error: BaseException) -> str:
    return str(error).strip().rstrip(".") or type(error).__name__


def _orientation(image: Image.Image) -> int | None:
    """The EXIF orientation left after decoding (the decoder of a TIFF turns it itself and drops the tag)."""
    try:
        return image.getexif().get(_ORIENTATION_TAG)
    except _DAMAGED:
        return None  # a photograph with broken metadata is still a photograph
