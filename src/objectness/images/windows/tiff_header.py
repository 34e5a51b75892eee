"""Size and orientation of a TIFF from the entries of its first page, whatever its pixels are like."""

from __future__ import annotations

from typing import IO, Literal, NamedTuple

_WIDTH, _HEIGHT, _ORIENTATION, _GDAL_NODATA = 256, 257, 274, 42113
_MOST_ENTRIES = 4096
_BYTES_OF = {1: 1, 3: 2, 4: 4, 16: 8}  # of the types byte, short, long and long of BigTIFF


class TiffHeader(NamedTuple):
    """The first page of a TIFF as stored: (height, width), its EXIF orientation, 1 to 8, and GDAL's no data."""

    stored_hw: tuple[int, int]
    turned: int
    has_nodata: bool


def read_tiff_header(file: IO[bytes]) -> TiffHeader | None:
    """The header of a TIFF or BigTIFF; None where the file holds none that makes sense."""
    file.seek(0)
    head = file.read(16)
    if head[:2] not in (b"II", b"MM") or len(head) < 8:
        return None
    order: Literal["little", "big"] = "little" if head[:2] == b"II" else "big"
    is_big = 43 in head[2:4]
    count_bytes, entry_bytes, pointer_bytes = (8, 20, 8) if is_big else (2, 12, 4)
    file.seek(min(int.from_bytes(head[8:16] if is_big else head[4:8], order), 1 << 62))
    entries = int.from_bytes(file.read(count_bytes), order)
    if not 0 < entries <= _MOST_ENTRIES:
        return None
    table = file.read(entries * entry_bytes)
    found: dict[int, int] = {}
    has_nodata = False
    for at in range(0, len(table) - entry_bytes + 1, entry_bytes):
        tag, kind = (int.from_bytes(table[at + shift : at + shift + 2], order) for shift in (0, 2))
        has_nodata = has_nodata or tag == _GDAL_NODATA
        if tag in (_WIDTH, _HEIGHT, _ORIENTATION) and kind in _BYTES_OF:
            value = at + entry_bytes - pointer_bytes
            found.setdefault(tag, int.from_bytes(table[value : value + _BYTES_OF[kind]], order))
    if _WIDTH not in found or _HEIGHT not in found:
        return None
    turned = found.get(_ORIENTATION, 1)
    return TiffHeader((found[_HEIGHT], found[_WIDTH]), turned if 1 <= turned <= 8 else 1, has_nodata)
