"""Windows of JPEG 2000, and of GeoTIFFs with a value for no data, read with rasterio (extra "geo").

b bands are read of those that a file has: red, green and blue (cyan, magenta, yellow and black; a palette) where it
says which these are, else the first three, else the first as grey. What the file masks (a value for no data, a mask,
alpha) is laid on white, and does not count for the range of values that is scaled to 8 bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from objectness.images.damage import ImageError
from objectness.images.pixel_formats import on_white
from objectness.images.upright import as_stored
from objectness.images.windows.header import Header
from objectness.images.windows.pieces import read_piecewise
from objectness.images.windows.protocol import Rectangle, Window
from objectness.images.windows.rasterio_file import gdal, open_raster
from objectness.images.windows.tiff_colours import Colours, Kind
from objectness.images.windows.turning import stored_part, upright_part

_MOST_BLOCK_BYTES = 32 << 20  # half of GDAL's cache
_PIXELS_AT_ONCE = 1 << 20  # while the range of values is looked for


class RasterioReader:
    """A raster of GDAL; see ``WindowReader``.

    Args:
        header: Of a TIFF or JPEG 2000 file.
        raster: The file, opened with rasterio.
    """

    in_order = False

    def __init__(self, header: Header, raster: Any) -> None:
        self.name, self.size_hw = header.name, header.size_hw
        self._turned, self._raster = header.turned, raster
        self._colours, self._bands = _choose(raster, header.name)
        self.remarks = self._colours.remarks
        self._is_masked = any("all_valid" not in {flag.name for flag in flags} for flags in raster.mask_flag_enums)
        self._limits: tuple[float, float] | None = None

    def window(self, part: Rectangle) -> Window:
        """The pixels of a part; the first of an image of more than 8 bits reads all of it before, for its range."""
        stored = stored_part(part, self.size_hw, self._turned)
        stored_hw = (self._raster.height, self._raster.width)
        found = self._rgb(stored)
        if isinstance(found, str):
            as_kept = read_piecewise(stored, stored_hw, self._raster.block_shapes[0], self._rgb)
        else:
            as_kept = Window(found)
        pixels = np.empty((part.height, part.width, 3), np.uint8)
        as_stored(pixels, self._turned)[:] = as_kept.pixels
        missing = tuple(upright_part(lost, stored_hw, self._turned) for lost in as_kept.missing)
        return Window(pixels, missing, as_kept.reason)

    def close(self) -> None:
        """Release the file."""
        with gdal():
            self._raster.close()

    def _rgb(self, stored: Rectangle) -> NDArray[np.uint8] | str:
        """Pixels of a stored part, or the reason why they cannot be decoded."""
        if self._limits is None:
            self._limits = self._colours.limits(self._values()) if self._colours.needs_limits else (0.0, 255.0)
        found = self._read(stored)
        if isinstance(found, str):
            return found
        samples, mask = found
        colour = self._colours.rgb(samples, self._limits)
        if mask is None or mask.min(initial=255) == 255:
            return colour
        rgba = np.concatenate([colour, mask[:, :, None]], axis=2)
        return np.asarray(on_white(Image.frombytes("RGBA", (stored.width, stored.height), rgba.tobytes())))

    def _read(self, stored: Rectangle) -> tuple[NDArray[Any], NDArray[np.uint8] | None] | str:
        """Samples ``(h, w, b)`` and how opaque they are ``(h, w)``, or the reason why they cannot be decoded."""
        from rasterio.errors import RasterioError
        from rasterio.windows import Window as Part

        part = Part(stored.x, stored.y, stored.width, stored.height)
        try:
            with gdal():
                samples = self._raster.read(self._bands, window=part)
                mask = self._raster.dataset_mask(window=part) if self._is_masked else None
        except (RasterioError, OSError) as error:
            told = error.__cause__ or error  # the first of them says what GDAL met
            return " ".join(str(told).split()).rstrip(".")[:200] or "GDAL cannot decode it"
        return np.ascontiguousarray(np.moveaxis(samples, 0, 2)), mask

    def _values(self) -> Iterator[NDArray[Any]]:
        """The samples of the whole image that are not masked, some at a time: ``(1, n, b)``."""
        height, width = self._raster.height, self._raster.width
        rows, columns = self._raster.block_shapes[0]
        rows *= max(1, _PIXELS_AT_ONCE // (rows * columns))
        for y in range(0, height, rows):
            for x in range(0, width, columns):
                found = self._read(Rectangle(y, x, min(rows, height - y), min(columns, width - x)))
                if not isinstance(found, str):
                    samples, mask = found
                    yield samples if mask is None else samples[mask > 0][None]


def open_rasterio(header: Header) -> RasterioReader:
    """Windows of a TIFF or JPEG 2000 file.

    Raises:
        InputError: It is damaged, its samples have no order, or it is stored in pieces so large that GDAL would decode
            them again for each window.
    """
    assert isinstance(header.source, str)
    with gdal():
        raster = open_raster(header.source)
        try:
            if (raster.height, raster.width) != header.stored_hw:
                raise _unclear(header.name, f"{raster.width} x {raster.height} pixels by GDAL")
            rows, columns = raster.block_shapes[0]
            samples = raster.count if raster.interleaving and raster.interleaving.name == "pixel" else 1
            if rows * columns * samples * np.dtype(raster.dtypes[0]).itemsize > _MOST_BLOCK_BYTES:
                reason = f"stores {columns} x {rows} pixels in one piece, which cannot be decoded in parts"
                raise ImageError(header.name, reason, "save it as a tiled TIFF")
            return RasterioReader(header, raster)
        except BaseException:
            raster.close()
            raise


def _choose(raster: Any, name: str) -> tuple[Colours, list[int]]:
    """The colours of a raster, and the numbers of the bands that hold them."""
    dtype = np.dtype(raster.dtypes[0])
    if dtype.kind not in "uif":
        raise _unclear(name, f"samples of type {dtype}")
    kinds = [interpretation.name for interpretation in raster.colorinterp]
    places = {kind: place for place, kind in reversed(list(enumerate(kinds, start=1)))}
    colours = [place for place, kind in enumerate(kinds, start=1) if kind != "alpha"]
    is_byte, bits = dtype == np.uint8, 8 * dtype.itemsize
    if kinds[0] == "palette" and is_byte:
        return Colours("palette", 1, bits, palette=_palette(raster.colormap(1))), [1]
    cmyk = [places.get(kind, 0) for kind in ("cyan", "magenta", "yellow", "black")]
    if all(cmyk) and (is_byte or dtype == np.uint16):
        return Colours("cmyk", 4, bits), cmyk
    rgb = [places.get(kind, 0) for kind in ("red", "green", "blue")]
    remarks: tuple[str, ...] = ()
    if not all(rgb):
        if len(colours) < 3:
            own = raster.tags(colours[0], ns="IMAGE_STRUCTURE").get("NBITS", "")
            if is_byte and own in ("1", "2", "4"):
                bits = int(own)
            return Colours("grey" if is_byte else "deep grey", 1, bits), colours[:1]
        rgb = colours[:3]
        remarks = (f"{name} has {len(colours)} bands; the first three are read as red, green and blue.",)
    kind: Kind = "colour" if is_byte else "deep colour" if dtype == np.uint16 else "wide colour"
    return Colours(kind, 3, bits, remarks=remarks), rgb


def _palette(colours: dict[int, tuple[int, int, int, int]]) -> NDArray[np.uint8]:
    table = np.zeros((max(colours) + 1, 3), np.uint8)
    for index, colour in colours.items():
        table[index] = colour[:3]
    return table


def _unclear(name: str, what: str) -> ImageError:
    return ImageError(name, f"its header is unclear ({what})", "save it again as an ordinary TIFF")
