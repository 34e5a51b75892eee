"""An image of any size, opened for reading in parts: the table of readers, and which of them takes an image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np

from objectness.errors import InputError
from objectness.images.damage import ImageError
from objectness.images.headers import DEFAULT_MAX_PIXELS, require_size
from objectness.images.opening import Source
from objectness.images.windows.header import Header, read_header
from objectness.images.windows.protocol import WindowReader
from objectness.images.windows.slide_file import SLIDE
from objectness.installation import Extra, how_to_install

MOST_WHOLE_PIXELS = DEFAULT_MAX_PIXELS
"""An image that cannot be read in parts is decoded whole up to this size: seven bytes a pixel while it is decoded."""

_SMALL_PIXELS = 16_000_000  # decoded whole in any case: 48 MB that stay, 112 MB on the way


@dataclass(frozen=True)
class Limits:
    """What may be opened, and how.

    Attributes:
        max_pixels: Images of more pixels are refused; None for no limit.
        whole_limit: Images of more pixels are not decoded whole.
    """

    max_pixels: int | None
    whole_limit: int


@dataclass(frozen=True)
class Reader:
    """A row of the table.

    Attributes:
        name: For messages and tests.
        purpose: What it is for.
        suits: Whether it is for this image, by its first bytes and its header.
        open: Opens an image that suits; an ``InputError`` passes it on to the next row.
        packages: What must be installed.
        extra: Installs them.
    """

    name: str
    purpose: str
    suits: Callable[[Header, Limits], bool]
    open: Callable[[Header, Limits], WindowReader]
    packages: tuple[str, ...] = ()
    extra: Extra | None = None

    @property
    def is_installed(self) -> bool:
        """Whether its packages are there."""
        return all(find_spec(name) is not None for name in self.packages)


def open_windows(
    source: Source, *, max_pixels: int | None = DEFAULT_MAX_PIXELS, whole_limit: int = MOST_WHOLE_PIXELS
) -> WindowReader:
    """Open an image for reading in parts; close the reader at the end (``contextlib.closing``).

    The pixels are those of :func:`objectness.images.open_upright`, wherever both can read the image.

    Args:
        source: See :func:`objectness.images.open_upright`.
        max_pixels: Refuse larger files and PIL images; None for no limit.
        whole_limit: The largest image that is decoded whole if it cannot be read in parts.

    Raises:
        InputError: The source cannot be read, is too large, or needs a package that is not installed.
    """
    header = read_header(source)
    if not isinstance(header.source, np.ndarray):
        require_size(header.size_hw[::-1], header.name, max_pixels)
    limits = Limits(max_pixels, whole_limit)
    first: InputError | None = None
    absent: Extra | None = None
    for reader in READERS:
        if not reader.suits(header, limits):
            continue
        if not reader.is_installed:
            absent = absent or reader.extra
            continue
        try:
            return reader.open(header, limits)
        except InputError as error:
            first = first or error
    raise first or _too_large_to_decode_whole(header, whole_limit, absent)


def size_of(source: Source) -> tuple[int, int]:
    """(height, width) of an image upright, from its header alone; as large as it likes.

    Raises:
        InputError: The source cannot be read.
    """
    return read_header(source).size_hw


def remarks_of(reader: WindowReader) -> tuple[str, ...]:
    """What the user should know of the way an image is read: sentences, mostly none."""
    remarks: tuple[str, ...] = getattr(reader, "remarks", ())
    return remarks


def _too_large_to_decode_whole(header: Header, whole_limit: int, absent: Extra | None) -> ImageError:
    height, width = header.size_hw
    size = f"has {width} x {height} = {header.pixels} pixels"
    kind = "progressive JPEG" if header.is_progressive else header.format
    if absent is not None:
        return ImageError(
            header.name,
            f"{size}, too many to decode whole (the limit is {whole_limit})",
            f"to read it in parts: {how_to_install(absent)}",
        )
    reason = f"{size}, and a {kind} is decoded whole, for which the limit is {whole_limit}"
    return ImageError(header.name, reason, "save it as a tiled TIFF, or raise whole_limit if the memory is there")


def _is_small(header: Header, limits: Limits) -> bool:
    return not header.is_file or (_fits(header, limits) and header.pixels <= _SMALL_PIXELS)


def _fits(header: Header, limits: Limits) -> bool:
    return header.format != SLIDE and header.pixels <= limits.whole_limit


def _open_whole(header: Header, limits: Limits) -> WindowReader:
    from objectness.images.windows.whole import open_whole

    remark: tuple[str, ...] = ()
    if not _is_small(header, limits):
        kind = "progressive JPEG" if header.is_progressive else header.format
        megabytes = 7 * header.pixels // 10**6
        absent = [
            reader.extra
            for reader in READERS
            if reader.extra and not reader.is_installed and reader.suits(header, limits)
        ]
        advice = f"; to read it in parts: {how_to_install(absent[0])}" if absent else ""
        remark = (f"{header.name}: this {kind} is decoded whole, in about {megabytes} MB of memory{advice}.",)
    return open_whole(header, limits.max_pixels, remark)


def _suits_vips(header: Header, limits: Limits) -> bool:
    from objectness.images.windows.vips_reader import KINDS, is_decoded_whole

    return header.is_file and header.format in KINDS and (not is_decoded_whole(header) or _fits(header, limits))


def _open_vips(header: Header, limits: Limits) -> WindowReader:
    from objectness.images.windows.vips_reader import open_vips

    return open_vips(header)


def _is_tiff_file(header: Header, limits: Limits) -> bool:
    return header.is_file and header.format == "TIFF"


def _open_tiff(header: Header, limits: Limits) -> WindowReader:
    from objectness.images.windows.tiff import open_tiff

    return open_tiff(header)


def _is_slide(header: Header, limits: Limits) -> bool:
    return header.format == SLIDE


def _open_slide(header: Header, limits: Limits) -> WindowReader:
    from objectness.images.windows.openslide_reader import OpenSlideReader

    return OpenSlideReader(header)


def _is_jpeg2000_or_has_nodata(header: Header, limits: Limits) -> bool:
    return isinstance(header.source, str) and (header.format == "JPEG2000" or header.has_nodata)


def _is_tiff_without_tifffile(header: Header, limits: Limits) -> bool:
    # What tifffile refuses is not passed on: GDAL takes strips that are not there for black or for no data.
    absent = any(find_spec(name) is None for name in ("tifffile", "imagecodecs"))
    return isinstance(header.source, str) and header.format == "TIFF" and absent


def _open_raster(header: Header, limits: Limits) -> WindowReader:
    from objectness.images.windows.rasterio_reader import open_rasterio

    return open_rasterio(header)


# The first row that suits, is installed and opens the image takes it.
READERS = (
    Reader("pillow-small", "what fits in any case, arrays, PIL images", _is_small, _open_whole),
    Reader("openslide", "slides of microscopes: SVS, NDPI, MRXS, SCN", _is_slide, _open_slide, ("openslide",), "wsi"),
    Reader("pyvips", "JPEG, PNG and WebP in bands of rows", _suits_vips, _open_vips, ("pyvips",), "huge"),
    Reader(
        "rasterio-first",
        "JPEG 2000, and TIFF with a value for no data",
        _is_jpeg2000_or_has_nodata,
        _open_raster,
        ("rasterio",),
        "geo",
    ),
    Reader(
        "tifffile",
        "TIFF, BigTIFF, OME-TIFF, GeoTIFF, COG: tile by tile, strip by strip",
        _is_tiff_file,
        _open_tiff,
        ("tifffile", "imagecodecs"),
        "huge",
    ),
    Reader(
        "rasterio",
        "TIFF, where tifffile is not installed",
        _is_tiff_without_tifffile,
        _open_raster,
        ("rasterio",),
        "geo",
    ),
    Reader("pillow", "what cannot be read in parts", _fits, _open_whole),
)
