"""Coordinate systems of images: where a pixel of a GeoTIFF lies on the ground.

The tags of a GeoTIFF are read without further libraries (OGC GeoTIFF 1.1, 7 and annex B.6); rasterio, where it is
installed, reads JPEG 2000 and coordinate systems that have no EPSG code.
"""

from __future__ import annotations

import math
import os
import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import TiffImagePlugin

from objectness.errors import InputError
from objectness.files.untrusted import regular_file
from objectness.images.damage import DAMAGED

_WIDTH, _HEIGHT, _ORIENTATION = 256, 257, 274
_PIXEL_SCALE, _TIE_POINTS, _TRANSFORMATION, _GEO_KEYS = 33550, 33922, 34264, 34735
_MODEL_TYPE, _RASTER_TYPE, _GEODETIC_CRS, _PROJECTED_CRS = 1024, 1025, 2048, 3072
_PROJECTED, _PIXEL_IS_POINT = 1, 2
_LARGEST_EPSG_CODE = 32766  # 32767 means "defined by the user", and what lies above is private
_JPEG_2000 = (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

Transform = tuple[float, float, float, float, float, float]


@dataclass(frozen=True)
class GeoReference:
    """Where the pixels of an image lie in a coordinate system.

    Attributes:
        transform: ``(a, b, c, d, e, f)``, as rasterio orders them: a point ``x`` columns right and ``y`` rows below the
            outer corner of the upper left pixel of the upright image lies at ``(a x + b y + c, d x + e y + f)``.
        crs: The coordinate system: "EPSG:32633", else its WKT; empty where it is not known.

    Raises:
        InputError: The transform is not six finite numbers, or maps the image onto a line.
    """

    transform: Transform
    crs: str = ""

    def __post_init__(self) -> None:
        numbers = tuple(map(float, self.transform))
        if len(numbers) != 6 or not all(map(math.isfinite, numbers)) or self._area(numbers) == 0:
            raise InputError(f"The transform {numbers} is not six finite numbers that keep the area of an image.")
        object.__setattr__(self, "transform", numbers)

    @property
    def is_mirrored(self) -> bool:
        """Whether the image and the coordinate system turn in opposite directions, as maps with north above do."""
        return self._area(self.transform) < 0

    def to_ground(self, points_xy: ArrayLike) -> NDArray[np.float64]:
        """Points ``(..., 2)`` in pixels of the upright image, in the coordinate system."""
        a, b, c, d, e, f = self.transform
        x, y = np.moveaxis(np.asarray(points_xy, np.float64), -1, 0)
        return np.stack([a * x + b * y + c, d * x + e * y + f], axis=-1)

    def to_pixels(self, points_xy: ArrayLike) -> NDArray[np.float64]:
        """Points ``(..., 2)`` in the coordinate system, in pixels of the upright image."""
        a, b, c, d, e, f = self.transform
        x, y = np.moveaxis(np.asarray(points_xy, np.float64) - (c, f), -1, 0)
        return np.stack([e * x - b * y, a * y - d * x], axis=-1) / self._area(self.transform)

    def polygons(self, boxes_xyxy: ArrayLike) -> NDArray[np.float64]:
        """The corners ``float64 (N, 4, 2)`` of boxes ``(N, 4)``, against the clock as RFC 7946 wants them."""
        boxes = np.asarray(boxes_xyxy, np.float64).reshape(-1, 4)
        corners = self.to_ground(boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2))
        return corners[:, [0, 3, 2, 1]] if self.is_mirrored else corners

    @staticmethod
    def _area(transform: tuple[float, ...]) -> float:
        a, b, _, d, e, _ = transform
        return a * e - b * d


def geo_reference(path: str | os.PathLike[str]) -> GeoReference | None:
    """The coordinate system of a GeoTIFF (COG, BigTIFF) or, with rasterio, of a JPEG 2000.

    Files beside it (.tfw, .aux.xml) are not read, nor are control points, for which there is no exact transform.

    Returns:
        None for a file that has none, cannot be read or is none.
    """
    try:
        with regular_file(os.fspath(path)).open("rb") as file:
            head = file.read(16)
            if head.startswith(_TIFF):
                return _of_tiff(file, head, Path(path))
        if head.startswith(_JPEG_2000):
            return _by_rasterio(Path(path))
    except (InputError, MemoryError, *DAMAGED):
        pass
    return None


def _of_tiff(file: IO[bytes], head: bytes, path: Path) -> GeoReference | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tags = TiffImagePlugin.ImageFileDirectory_v2(head if b"+" in head[2:4] else head[:8])
        file.seek(tags.next)
        tags.load(file)
        keys = _geo_keys(tags.get(_GEO_KEYS, ()))
        transform = _transform(tags, is_point=keys.get(_RASTER_TYPE) == _PIXEL_IS_POINT)
        if transform is None:
            return None
        transform = _upright(transform, tags)
    code = keys.get(_PROJECTED_CRS if keys.get(_MODEL_TYPE) == _PROJECTED else _GEODETIC_CRS, 0)
    if 0 < code <= _LARGEST_EPSG_CODE:
        return GeoReference(transform, f"EPSG:{code}")
    found = _by_rasterio(path) if keys else None
    return GeoReference(transform, found.crs if found else "")


def _geo_keys(words: Any) -> dict[int, int]:
    """The keys whose values are whole numbers: the directory holds these itself, four words a key."""
    return {words[at]: words[at + 3] for at in range(4, len(words) - 3, 4) if words[at + 1] == 0}


def _transform(tags: Any, *, is_point: bool) -> Transform | None:
    """From the tags; where these give the centre of a pixel, moved to its outer corner."""
    scale, ties, matrix = (tuple(tags.get(tag, ())) for tag in (_PIXEL_SCALE, _TIE_POINTS, _TRANSFORMATION))
    if len(scale) >= 2 and scale[0] and scale[1] and len(ties) >= 6:
        column, row, _, x, y, _ = ties[:6]
        a, b, d, e = scale[0], 0.0, 0.0, -abs(scale[1])
        c, f = x - a * column, y - e * row
    elif len(matrix) == 16:
        a, b, _, c, d, e, _, f = matrix[:8]
    else:
        return None
    if is_point:
        c, f = c - (a + b) / 2, f - (d + e) / 2
    return a, b, c, d, e, f


def _upright(transform: Transform, tags: Any) -> Transform:
    """The transform of the stored pixels, made to take upright ones."""
    a, b, c, d, e, f = transform
    width, height = tags[_WIDTH], tags[_HEIGHT]
    # The stored (column, row) of a point (x, y) of the upright image, each as factors of x, y and 1.
    (xx, xy, x1), (yx, yy, y1) = {
        2: ((-1, 0, width), (0, 1, 0)),
        3: ((-1, 0, width), (0, -1, height)),
        4: ((1, 0, 0), (0, -1, height)),
        5: ((0, 1, 0), (1, 0, 0)),
        6: ((0, 1, 0), (-1, 0, height)),
        7: ((0, -1, width), (-1, 0, height)),
        8: ((0, -1, width), (1, 0, 0)),
    }.get(tags.get(_ORIENTATION, 1), ((1, 0, 0), (0, 1, 0)))
    return (
        *(a * xx + b * yx, a * xy + b * yy, a * x1 + b * y1 + c),
        *(d * xx + e * yx, d * xy + e * yy, d * x1 + e * y1 + f),
    )


def _by_rasterio(path: Path) -> GeoReference | None:
    if find_spec("rasterio") is None:
        return None
    from objectness.images.windows.rasterio_file import opened_raster

    with opened_raster(path) as raster:
        crs = raster.crs
        if crs is None or raster.transform.is_identity:
            return None
        code = crs.to_epsg()
        return GeoReference(tuple(raster.transform)[:6], f"EPSG:{code}" if code else crs.to_wkt())
