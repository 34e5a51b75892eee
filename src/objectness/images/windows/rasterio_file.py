"""Files opened with rasterio (GDAL): of two formats alone, and nothing that they name or that lies beside them."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from objectness.errors import NotInstalledError
from objectness.files.untrusted import regular_file
from objectness.images.damage import ImageError, damaged
from objectness.installation import how_to_install

# First bytes -> the driver that is asked. Others are not: a VRT names other files, say.
_DRIVERS = {
    b"II*\0": "GTiff",
    b"MM\0*": "GTiff",
    b"II+\0": "GTiff",
    b"MM\0+": "GTiff",
    b"\0\0\0\x0cjP  \r\n\x87\n": "JP2OpenJPEG",
    b"\xff\x4f\xff\x51": "JP2OpenJPEG",
}
_OPTIONS = {
    "GDAL_CACHEMAX": 64,  # megabytes; else a twentieth of the machine's memory
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_PAM_ENABLED": False,
}


@contextmanager
def gdal() -> Iterator[None]:
    """Settings of GDAL, for the time of some calls; its messages stay off the screen.

    Raises:
        NotInstalledError: rasterio is not installed.
    """
    try:
        import rasterio
    except ImportError:
        raise NotInstalledError(f"Rasters of GDAL need rasterio: {how_to_install('geo')}.") from None
    logger = logging.getLogger(rasterio.__name__)
    if not any(isinstance(handler, logging.NullHandler) for handler in logger.handlers):
        logger.addHandler(logging.NullHandler())
    with rasterio.Env(**_OPTIONS):
        yield


@contextmanager
def opened_raster(path: Path | str) -> Iterator[Any]:
    """A raster for a few questions, closed at the end."""
    with gdal():
        raster = open_raster(path)
        try:
            yield raster
        finally:
            raster.close()


def open_raster(path: Path | str) -> Any:
    """A raster, within :func:`gdal`.

    Raises:
        InputError: There is no regular file, or it is damaged or of another format.
    """
    import rasterio

    whole = str(regular_file(path).absolute())  # of such a name GDAL makes no address, archive or connection
    if whole.startswith("/vsi"):
        raise ImageError(whole, "has a name that GDAL takes for one of its own", "move it elsewhere")
    try:
        with Path(whole).open("rb") as file:
            head = file.read(12)
        driver = next((driver for mark, driver in _DRIVERS.items() if head.startswith(mark)), None)
        if driver is None:
            raise ImageError(str(path), "is neither a TIFF nor a JPEG 2000", "save it as one of these")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            return rasterio.open(Path(whole), driver=driver)
    except OSError as error:  # rasterio's own error is one of these too
        raise damaged(str(path), error) from None
    except rasterio.errors.RasterioError as error:
        raise damaged(str(path), error) from None
