"""Image files opened as far as their header: of the formats named here, and affordable to decode."""

from __future__ import annotations

import io
import mmap
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from PIL import Image

from objectness.images.damage import DAMAGED, MISSING, ImageError, damaged
from objectness.installation import how_to_install

# Twice the size at which Pillow begins to warn: a decompression bomb for its own guard.
DEFAULT_MAX_PIXELS = 178_000_000

# In the order in which they are tried, by their first bytes; TGA has no such mark and comes last.
_PLUGINS = {
    "JPEG": "JpegImagePlugin",
    "PNG": "PngImagePlugin",
    "WEBP": "WebPImagePlugin",
    "TIFF": "TiffImagePlugin",
    "GIF": "GifImagePlugin",
    "BMP": "BmpImagePlugin",
    "PPM": "PpmImagePlugin",
    "AVIF": "AvifImagePlugin",
    "JPEG2000": "Jpeg2KImagePlugin",
    "TGA": "TgaImagePlugin",
}
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")

# Bytes that decoding takes for each pixel beside the image itself: canvases, coefficients, planes.
_WORKING_BYTES = {"WEBP": 12, "AVIF": 10, "JPEG2000": 16, "HEIF": 8, "GIF": 4}
_COEFFICIENT_BYTES = 6  # of a progressive JPEG
_RESULT_BYTES = 3
_MOST_BYTES_A_PIXEL = 12.0  # times the limit of pixels: memory that one image may take
_UNDOUBTED_BYTES_A_PIXEL = 1.5  # times the limit of pixels: below this a file may be as small as it likes
_MOST_PIXELS_A_BYTE = 200  # a photograph has 1 to 50; a flat drawing some hundred, but is not this large
_MOST_SCANS = 100  # of a JPEG; an encoder writes some ten, and each takes the time of a whole image
_MOST_STREAM_BYTES = 1 << 30

_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")  # of those that a length follows, and the end
_START_OF_SCAN, _END_OF_IMAGE, _PROGRESSIVE = 0xDA, 0xD9, frozenset({0xC2, 0xC6, 0xCA, 0xCE})

_TILE_WIDTH, _TILE_LENGTH = 322, 323


def can_read_heif() -> bool:
    """Whether pillow-heif is installed."""
    return find_spec("pillow_heif") is not None


@contextmanager
def opened(path: str | os.PathLike[str], max_pixels: int | None = DEFAULT_MAX_PIXELS) -> Iterator[Image.Image]:
    """An image file whose header was read and found affordable; nothing is decoded.

    ``Image.open`` does this too, but it opens every format that Pillow knows, and it checks the size against
    ``Image.MAX_IMAGE_PIXELS``, a global of the whole process: raising our own limit would mean changing it under the
    feet of other threads.

    Raises:
        ImageError: no regular file, not an image of a format that is read, damaged in its header, or too large.
    """
    name = os.fspath(path)
    _require_file(name)
    try:
        file = Path(path).open("rb")  # noqa: SIM115
    except OSError as error:
        raise ImageError(name, f"cannot be opened ({error.strerror or error})", "check its permissions") from None
    with file:
        yield _read_header(file, name, max_pixels)


def read_stream(stream: IO[bytes], name: str) -> bytes:
    """All that a binary file object gives from where it stands.

    Raises:
        ImageError: it is closed, empty, gives text or does not end.
    """
    try:
        content = stream.read(_MOST_STREAM_BYTES + 1)
    except (OSError, ValueError, TypeError) as error:
        raise ImageError(name, f"cannot be read ({error})", "open it again, in binary mode") from None
    if not isinstance(content, bytes):
        raise ImageError(name, "gives text, not bytes", 'open the file in binary mode ("rb")')
    if len(content) > _MOST_STREAM_BYTES:
        raise ImageError(name, f"gives more than {_MOST_STREAM_BYTES} bytes", "save it to a file and name that")
    return content


def opened_bytes(content: bytes, name: str, max_pixels: int | None = DEFAULT_MAX_PIXELS) -> Image.Image:
    """The image that a file of these bytes would hold, as :func:`opened`.

    Raises:
        ImageError: see :func:`opened`; there are none.
    """
    if not content:
        raise ImageError(name, "holds no bytes", "a stream that was read before must be wound back")
    return _read_header(io.BytesIO(content), name, max_pixels)


def require_affordable(image: Image.Image, name: str, max_pixels: int | None, file_bytes: int | None = None) -> None:
    """Refuse an image of no pixels, of more than the limit, or whose decoding would take too much memory.

    Raises:
        ImageError: with the figure that is too large.
    """
    require_size(image.size, name, max_pixels)
    if max_pixels is None:
        return
    width, height = image.size
    pixels = width * height
    bands = len(image.getbands())
    own = 1 if image.mode in ("1", "L", "P") else 2 if image.mode.startswith("I;16") else 4
    working = 4 * bands + 4 if image.format == "JPEG2000" else _WORKING_BYTES.get(image.format or "", 0)
    working += _COEFFICIENT_BYTES if image.info.get("progressive") else 0
    needed = pixels * (own + working + _RESULT_BYTES)
    if needed > _MOST_BYTES_A_PIXEL * max_pixels:
        reason = f"its {width} x {height} pixels take {needed / 1e9:.1f} GB of memory to decode as {image.format}"
        raise ImageError(name, reason, "make it smaller, or raise max_pixels if you trust it")
    small = file_bytes is not None and pixels > _MOST_PIXELS_A_BYTE * file_bytes
    if small and needed > _UNDOUBTED_BYTES_A_PIXEL * max_pixels:
        reason = f"its {width} x {height} pixels are packed into {file_bytes} bytes, as no photograph is"
        raise ImageError(name, reason, "raise max_pixels if you trust it")


def require_size(size_wh: tuple[int, int], name: str, max_pixels: int | None) -> None:
    """Refuse an image of no pixels or of more than the limit.

    Raises:
        ImageError: with both figures.
    """
    width, height = size_wh
    if width < 1 or height < 1:
        raise ImageError(name, f"has no pixels (width {width}, height {height})", "copy it again")
    if max_pixels is not None and width * height > max_pixels:
        raise ImageError(
            name,
            f"has {width} x {height} = {width * height} pixels, more than the limit of {max_pixels}",
            "raise max_pixels if you trust it",
        )


def _require_file(name: str) -> None:
    """Only regular files are opened: a pipe would wait for ever, and a device may have no end."""
    try:
        status = Path(name).stat()
    except FileNotFoundError:
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", name):
            raise ImageError(name, "is an address, and nothing is fetched from the network", "download it") from None
        raise ImageError(name, MISSING, "there is no such file: check the path") from None
    except (OSError, ValueError) as error:  # a closed folder above it, a name too long; a zero byte or half a letter
        reason = getattr(error, "strerror", None) or "no file can have this name"
        raise ImageError(ascii(name[:200]), f"cannot be opened ({reason})", "check the path") from None
    if stat.S_ISDIR(status.st_mode):
        raise ImageError(name, "is a folder, where an image was expected", "name the files in it")
    if not stat.S_ISREG(status.st_mode):
        raise ImageError(name, "is a pipe or a device, not a regular file", "save the photograph to a file first")
    if status.st_size == 0:
        raise ImageError(name, "the file is empty", "copy or download it again")


def _read_header(file: IO[bytes], name: str, max_pixels: int | None) -> Image.Image:
    prefix = file.read(32)
    size = file.seek(0, os.SEEK_END)
    if prefix[:4] == b"RIFF" and (canvas := webp_canvas(prefix)):  # its decoder allocates the canvas at once
        require_size(canvas, name, max_pixels)
        if max_pixels is not None and canvas[0] * canvas[1] * 19 > _MOST_BYTES_A_PIXEL * max_pixels:
            reason = f"its canvas of {canvas[0]} x {canvas[1]} pixels takes too much memory"
            raise ImageError(name, reason, "make it smaller, or raise max_pixels if you trust it")
    try:
        image = _identified(file, prefix, name)
        if image is not None:
            require_affordable(image, name, max_pixels, size)
            _require_few_scans(image, file, name)
            _require_small_tiles(image, name, max_pixels)
            return image
    except ImageError:
        raise
    except (MemoryError, *DAMAGED) as error:
        raise damaged(name, error) from None
    known = " ".join(sorted(_PLUGINS))
    reason = f"is not an image of a format that is read ({known}), or is damaged in its first bytes"
    raise ImageError(name, reason, "save it as JPEG or PNG")


def _identified(file: IO[bytes], prefix: bytes, name: str) -> Image.Image | None:
    """The first format that accepts the first bytes; None where none does."""
    for format_, plugin in _PLUGINS.items():
        import_module(f"PIL.{plugin}")
        factory, accept = Image.OPEN[format_]
        known = accept is None or accept(prefix[:16])
        if isinstance(known, str):  # this build of Pillow cannot read it
            raise ImageError(name, f"cannot be read by this build of Pillow ({known})", "save it as JPEG or PNG")
        if not known:
            if format_ == "AVIF" and prefix[4:8] == b"ftyp" and prefix[8:12] in _HEIF_BRANDS:
                return _identified_heif(file, name)
            continue
        file.seek(0)
        try:
            return factory(file, name)
        except SyntaxError:
            if accept is not None:
                raise
    return None


def _identified_heif(file: IO[bytes], name: str) -> Image.Image:
    if not can_read_heif():
        advice = f"install pillow-heif ({how_to_install('heif')}), or save it as JPEG"
        raise ImageError(name, "is a HEIF photograph, which Pillow alone cannot read", advice)
    file.seek(0)
    image: Image.Image = import_module("pillow_heif").HeifImageFile(file, name)
    return image


def webp_canvas(prefix: bytes) -> tuple[int, int] | None:
    """(width, height) from the first 30 bytes of a WebP file; None where they do not say."""
    kind, data = prefix[12:16], prefix[20:30]
    if prefix[8:12] != b"WEBP" or len(data) < 10:
        return None
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[4:7], "little"), 1 + int.from_bytes(data[7:10], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(data[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        return int.from_bytes(data[6:8], "little") & 0x3FFF, int.from_bytes(data[8:10], "little") & 0x3FFF
    return None


def _require_few_scans(image: Image.Image, file: IO[bytes], name: str) -> None:
    """Refuse a JPEG of many scans: each visits the whole image, however few bytes it has."""
    if image.format not in ("JPEG", "MPO"):
        return
    place = file.tell()
    with _content(file) as content:
        scans = _count_scans(content, len(image.getbands()))
    file.seek(place)
    if scans > _MOST_SCANS:
        raise ImageError(name, f"is a JPEG of more than {_MOST_SCANS} scans", "save it again as an ordinary one")


@contextmanager
def _content(file: IO[bytes]) -> Iterator[bytes | mmap.mmap]:
    """All bytes of a file, of which the system reads those that are looked at; of a stream, a copy."""
    try:
        number = file.fileno()
    except OSError:
        file.seek(0)
        yield file.read()
        return
    with mmap.mmap(number, 0, access=mmap.ACCESS_READ) as content:
        yield content


def _count_scans(content: bytes | mmap.mmap, bands: int) -> int:
    """Number of scans of a JPEG that are read: one if the first holds all bands, else at most 101."""
    scans, at, progressive = 0, 2, False
    while scans <= _MOST_SCANS and (marker := _MARKER.search(content, at)):
        kind, at = content[marker.end() - 1], marker.end()
        if kind == _END_OF_IMAGE:
            break
        length = int.from_bytes(content[at : at + 2], "big")
        progressive = progressive or kind in _PROGRESSIVE
        if kind == _START_OF_SCAN:
            scans += 1
            if not progressive and content[at + 2 : at + 3] == bytes([bands]):
                break
        at += max(2, length)
    return scans


def _require_small_tiles(image: Image.Image, name: str, max_pixels: int | None) -> None:
    """A small TIFF may say that its tiles are as large as it likes."""
    if image.format != "TIFF":
        return
    tags = getattr(image, "tag_v2", {})
    width, length = tags.get(_TILE_WIDTH, 0), tags.get(_TILE_LENGTH, 0)
    if isinstance(width, int) and isinstance(length, int) and width > 0 and length > 0:
        require_size((width, length), name, max_pixels)
