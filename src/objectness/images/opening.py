"""Any photograph as upright RGB pixels, with a sentence for each one that cannot be read.

Images are ``uint8 (H, W, 3)`` RGB after EXIF orientation; sizes are (height, width).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from objectness.errors import InputError
from objectness.images.damage import DAMAGED, damaged
from objectness.images.deep_colour import is_deep_colour, with_lower_bytes
from objectness.images.frames import count_frames
from objectness.images.headers import DEFAULT_MAX_PIXELS, opened, opened_bytes, read_stream, require_affordable
from objectness.images.pixel_formats import array_as_rgb, as_rgb, to_array, upright_array
from objectness.images.upright import LYING, as_stored, orientation

Source = str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | Image.Image | NDArray[Any]

# A JPEG is decoded at half, a quarter or an eighth of its size where that still is this much larger than wanted:
# the rest of the way is an antialiased resize, so that boxes stay where they are.
_DRAFT_MARGIN = 2.0
_JPEG = ("JPEG", "MPO")  # one photograph of 8 bits a channel, whatever previews a telephone stores behind it


@dataclass(frozen=True, eq=False)
class Fitted:
    """A photograph at the size that a network wants.

    Attributes:
        pixels: ``uint8 (h, w, 3)`` RGB, upright and resized.
        size_hw: (height, width) of the upright photograph.
        image: The photograph itself ``uint8 (H, W, 3)``, where it was requested.
        frames: How many frames or pages the file holds; the first is the photograph.
    """

    pixels: NDArray[np.uint8]
    size_hw: tuple[int, int]
    image: NDArray[np.uint8] | None = None
    frames: int = 1


class LargeImage(Exception):  # noqa: N818  # no fault of the image
    """An image of more pixels than the caller wants decoded whole.

    Attributes:
        source: To open it again: as given, or the bytes that a file object gave.
    """

    def __init__(self, source: Source) -> None:
        super().__init__("The image is larger than what is decoded whole.")
        self.source = source


def open_fitted(
    source: Source,
    short_side: int,
    long_side: int,
    *,
    max_pixels: int | None = DEFAULT_MAX_PIXELS,
    keep_image: bool = False,
    large_pixels: int | None = None,
) -> Fitted:
    """Read a photograph at the size of :func:`fit_size_hw`, decoding no more of a large JPEG than that takes.

    The pixels are the same whether the image is kept or not.

    Args:
        source: See :func:`open_upright`; raises the same.
        short_side: See :func:`fit_size_hw`.
        long_side: See :func:`fit_size_hw`.
        max_pixels: Refuse larger files and PIL images before they are decoded; None for no limit.
        keep_image: Hand out the whole photograph too.
        large_pixels: Decode no image of more pixels; None for no limit.

    Raises:
        LargeImage: It has more than ``large_pixels``; nothing was decoded.
    """
    large_pixels = sys.maxsize if large_pixels is None else large_pixels
    if isinstance(source, np.ndarray):
        if source.ndim >= 2 and source.shape[0] * source.shape[1] > large_pixels:
            raise LargeImage(source)
        return _fitted(array_as_rgb(source), short_side, long_side, keep_image=keep_image)
    name = describe(source)
    if not isinstance(source, str | os.PathLike | Image.Image):
        source = _content(source, name)  # read once, although a large JPEG is decoded twice
    with _header(source, name, max_pixels) as image:
        if image.width * image.height > large_pixels:
            raise LargeImage(source)
        small, frames = None, 1
        if isinstance(source, Image.Image):
            pass  # its other frames are for its owner to show
        elif image.format in _JPEG:
            small = _decode_small(image, name, short_side, long_side)
        else:
            frames = count_frames(image)
        if small is None:
            whole = _decode(image, source, name, max_pixels)
            return replace(_fitted(whole, short_side, long_side, keep_image=keep_image), frames=frames)
    return replace(small, image=open_upright(source, max_pixels=max_pixels)) if keep_image else small


def open_upright(source: Source, *, max_pixels: int | None = DEFAULT_MAX_PIXELS) -> NDArray[np.uint8]:
    """Read a photograph as RGB, turned as its EXIF orientation says.

    Transparent pixels are laid on white. Grey of 16 bits: the smallest bit depth (8, 10, 12, 14, 16) that holds the
    largest value is scaled to 8 bits, because cameras store 12-bit data in 16-bit files. Colour of 16 bits a channel in
    PNG and TIFF: the same if 14 bits suffice; otherwise the upper 8 bits are kept. Other grey of
    more than 8 bits ("I", "F") is scaled in the same way; floats from 0..1 where that holds them, and from 0 to their
    maximum where that lies above 1 and below 64 (high dynamic range); negative or larger values from their own minimum
    to their own maximum. Of an animation or a file of pages the first counts.

    Args:
        source: A file, the bytes of one, a binary file object (read from where it stands), a PIL image (as it stands,
            its EXIF orientation applied), or a ``uint8`` array ``(H, W)``, ``(H, W, 1)``, ``(H, W, 3)`` RGB or
            ``(H, W, 4)`` RGBA, which is taken to be upright.
        max_pixels: Refuse larger files and PIL images before they are decoded; None for no limit.

    Returns:
        ``uint8 (H, W, 3)``; an RGB array that is passed in is not copied.

    Raises:
        InputError: The source cannot be read: missing, empty, damaged, too large, not an image, or an array
            of another shape or type.
    """
    if isinstance(source, np.ndarray):
        return array_as_rgb(source)
    name = describe(source)
    if not isinstance(source, str | os.PathLike | Image.Image):
        source = _content(source, name)
    with _header(source, name, max_pixels) as image:
        return _decode(image, source, name, max_pixels)


def describe(source: Source) -> str:
    """Name of a photograph in a message: its file, if there is one."""
    if isinstance(source, np.ndarray):
        return f"the array of shape {source.shape}"
    if isinstance(source, Image.Image):
        return str(getattr(source, "filename", "") or "the PIL image")
    if isinstance(source, bytes | bytearray | memoryview):
        return f"the image of {memoryview(source).nbytes} bytes"
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    name = getattr(source, "name", None)
    return name if isinstance(name, str) else "the file object"


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


def _fitted(whole: NDArray[np.uint8], short_side: int, long_side: int, *, keep_image: bool) -> Fitted:
    size_hw = (whole.shape[0], whole.shape[1])
    pixels = resize(whole, fit_size_hw(size_hw, short_side, long_side))
    return Fitted(pixels, size_hw, whole if keep_image else None)


@contextmanager
def _header(source: Source, name: str, max_pixels: int | None) -> Iterator[Image.Image]:
    """An image that is not yet decoded."""
    if isinstance(source, Image.Image):
        require_affordable(source, name, max_pixels)
        yield source
    elif isinstance(source, str | os.PathLike):
        with opened(source, max_pixels) as image:
            yield image
    else:
        yield opened_bytes(_content(source, name), name, max_pixels)


def _content(source: Source, name: str) -> bytes:
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    if hasattr(source, "read"):
        return read_stream(cast("IO[bytes]", source), name)
    raise InputError(
        "A photograph is a path, a PIL image or a NumPy array, the bytes of a file or a file object, "
        f"but a {type(source).__name__} came; convert it first."
    )


def _decode(image: Image.Image, source: Source, name: str, max_pixels: int | None) -> NDArray[np.uint8]:
    """The opened image as upright RGB; ``source`` is what it was opened from."""
    is_deep = not isinstance(source, Image.Image) and image.format not in _JPEG and is_deep_colour(image)
    try:
        image.load()
        turned = orientation(image)
        if is_deep:
            image = with_lower_bytes(image, partial(_header, source, name, max_pixels))
        return upright_array(image, turned)
    except (MemoryError, *DAMAGED) as error:
        raise damaged(name, error) from None


def _decode_small(image: Image.Image, name: str, short_side: int, long_side: int) -> Fitted | None:
    """A large JPEG, shrunk while it is decoded; None where there is nothing to gain."""
    if not getattr(image, "tile", None):
        return None
    turned = orientation(image)
    height, width = image.size if turned in LYING else image.size[::-1]
    fitted_hw = fit_size_hw((height, width), short_side, long_side)
    stored_wh = fitted_hw if turned in LYING else fitted_hw[::-1]
    wanted_wh = int(stored_wh[0] * _DRAFT_MARGIN), int(stored_wh[1] * _DRAFT_MARGIN)
    if 2 * wanted_wh[0] > image.width or 2 * wanted_wh[1] > image.height:
        return None  # half its size would be too small
    try:
        draft = image.draft(None, wanted_wh)
        if draft is None:
            return None
        image.load()
        # The box tells where the photograph ends: its size may be no multiple of the factor that it was shrunk by.
        small = as_rgb(image).resize(stored_wh, Image.Resampling.BILINEAR, box=draft[1])
        pixels = np.empty((*fitted_hw, 3), dtype=np.uint8)
        as_stored(pixels, turned)[:] = np.asarray(small)
    except (MemoryError, *DAMAGED) as error:
        raise damaged(name, error) from None
    return Fitted(pixels, (height, width))
