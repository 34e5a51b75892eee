"""The strips or tiles of a TIFF, decoded one by one: nothing is believed that the file says of its own size."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from objectness.images.damage import DAMAGED, ImageError
from objectness.images.windows.protocol import Rectangle

_RAW, _JPEG, _WEBP = 1, 7, 50001
_DEFLATE = (8, 32946)
_JPEG_2000 = (33003, 33004, 33005, 34712)
# Codecs whose output is bounded by the size that is asked for, or whose data state their size (_stated_pixels).
_CODECS = (_RAW, 2, 3, 4, 5, _JPEG, *_DEFLATE, 32773, 34925, 50000, _WEBP, *_JPEG_2000)
_NO_PREDICTOR, _HORIZONTAL = 1, 2

_MOST_DECODED_BYTES = 1 << 28  # of a strip or tile: it is decoded at once
_PIECE_BYTES = 1 << 21  # larger strips are read in pieces of this, where their codec allows it
_READ_BYTES = 1 << 16
_SMALLEST_TILE = 8 * 8
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # of a JPEG: its size follows


class DamagedPartError(Exception):
    """A strip or tile that cannot be decoded; the text says why in a few words."""


class Segments:
    """Rectangles of a page that are decoded at once, row by row: tiles, strips or pieces of large strips.

    Args:
        page: A page of ``tifffile``.
        name: For messages.
        file_bytes: Size of the file.

    Attributes:
        hw: (height, width) of the page as stored.
        in_order: Whether segments are quick only from top to bottom.
        is_full_width: Whether each is as wide as the page.

    Raises:
        ImageError: Another codec, a strip too large to decode, a page without pixels in the file.
    """

    def __init__(self, page: Any, name: str, file_bytes: int) -> None:
        self.hw = int(page.imagelength), int(page.imagewidth)
        self._page, self._file, self._file_bytes = page, page.parent.filehandle, file_bytes
        self._offsets = np.asarray(page.dataoffsets, dtype=np.uint64).astype(np.int64)
        self._counts = np.asarray(page.databytecounts, dtype=np.uint64).astype(np.int64)
        self._compression = int(page.compression)
        self._samples = int(page.samplesperpixel)
        self._is_planar = int(page.planarconfig) == 2 and self._samples > 1
        height, width = (page.tilelength, page.tilewidth) if page.is_tiled else (page.rowsperstrip, self.hw[1])
        self._segment_hw = int(height), int(width)
        self._require_readable(name)

        self._pixel_bits = int(page.bitspersample) * (1 if self._is_planar else self._samples)
        row_bytes = -(-self._segment_hw[1] * self._pixel_bits // 8)
        self._piece_rows, self.in_order = self._segment_hw[0], False
        if row_bytes * self._segment_hw[0] > _PIECE_BYTES and self._can_be_cut():
            self._piece_rows = max(1, min(self._segment_hw[0], _PIECE_BYTES // row_bytes))
            self.in_order = self._compression in _DEFLATE
        decoded = max(row_bytes, self._segment_hw[1] * (self._pixel_bits // page.bitspersample)) * self._piece_rows
        if decoded > _MOST_DECODED_BYTES:
            what = f"strips or tiles of {self._segment_hw[1]} x {self._segment_hw[0]} pixels"
            raise ImageError(name, f"is a TIFF of {what}, too large to decode one", "save it as a tiled TIFF")
        self._is_cut = self._piece_rows < self._segment_hw[0]
        self.is_full_width = not page.is_tiled
        self._pieces = -(-self._segment_hw[0] // self._piece_rows)  # of a strip
        self._strips = -(-self.hw[0] // self._segment_hw[0])
        self._columns = -(-self.hw[1] // self._segment_hw[1])
        self._inflating: dict[int, _Inflating] = {}

    def keys(self, part: Rectangle) -> list[tuple[int, int]]:
        """The segments that meet a part of the page, as (row, column), row by row."""
        rows = range(self._row_of(part.y), self._row_of(part.y + part.height - 1) + 1)
        columns = range(part.x // self._segment_hw[1], (part.x + part.width - 1) // self._segment_hw[1] + 1)
        return [(row, column) for row in rows if not self._is_cut or self._rows_of(row)[1] for column in columns]

    def all_keys(self) -> list[tuple[int, int]]:
        """Every segment of which the file says where it is."""
        there = min(len(self._offsets), len(self._counts))
        last = there // self._columns * self._pieces
        return (
            self.keys(Rectangle(0, 0, *self.hw))
            if last >= self._strips * self._pieces
            else [(row, column) for row in range(last) if self._rows_of(row)[1] for column in range(self._columns)]
        )

    def rectangle(self, key: tuple[int, int]) -> Rectangle:
        """Where a segment lies in the page; cut at its borders."""
        y, rows = self._rows_of(key[0])
        x = key[1] * self._segment_hw[1]
        return Rectangle(y, x, rows, min(self._segment_hw[1], self.hw[1] - x))

    def samples(self, key: tuple[int, int]) -> NDArray[Any]:
        """The stored samples of a segment, ``(height, width, samples)`` of its rectangle.

        Raises:
            DamagedPartError: They cannot be decoded.
        """
        planes = self._samples if self._is_planar else 1
        try:
            decoded = [self._plane(key, plane) for plane in range(planes)]
        except DamagedPartError:
            raise
        except MemoryError:
            raise DamagedPartError("it does not fit into memory") from None
        except Exception as error:
            if not isinstance(error, DAMAGED) and type(error).__name__ != "TiffFileError":
                raise
            told = " ".join(str(error).split())[:200] or type(error).__name__
            raise DamagedPartError(f"it does not decode ({told})") from None
        return decoded[0] if planes == 1 else np.concatenate(decoded, axis=2)

    def _require_readable(self, name: str) -> None:
        page = self._page
        if self._compression not in _CODECS:
            reason = f"is a TIFF with compression {self._compression}, which is not read in parts"
            raise ImageError(name, reason, "save it as a TIFF with deflate or LZW")
        if int(page.imagedepth) > 1:
            raise ImageError(name, "is a TIFF of a volume", "save one plane of it")
        height, width = self._segment_hw
        if height < 1 or width < 1 or (page.is_tiled and height * width < _SMALLEST_TILE):
            reason = f"is a TIFF of strips or tiles of {width} x {height} pixels, where 64 pixels are expected at least"
            raise ImageError(name, reason, "save it as an ordinary TIFF")
        if page.is_subsampled and self._compression != _JPEG:
            raise ImageError(
                name,
                "is a TIFF of subsampled colours without JPEG, which is not read in parts",
                "save it as an RGB TIFF",
            )
        if page.jpegheader is not None:
            raise ImageError(name, "is a TIFF whose strips are parts of one JPEG", "save it as a tiled TIFF")
        there = min(len(self._offsets), len(self._counts))
        ends = self._offsets[:there] + self._counts[:there]
        if not bool(((self._counts[:there] > 0) & (ends > 0) & (self._offsets[:there] < self._file_bytes)).any()):
            raise ImageError(name, "is a TIFF that holds none of the pixels that it promises", "copy it again")
        try:
            page.decode(None, 0)
        except (ValueError, NotImplementedError) as error:
            reason = f"is a TIFF that is not read in parts ({error})"
            raise ImageError(name, reason, "save it as an ordinary TIFF") from None

    def _can_be_cut(self) -> bool:
        """Whether pieces of a strip can be decoded one after another."""
        page = self._page
        if page.is_tiled or int(page.fillorder) != 1 or int(page.bitspersample) not in (8, 16, 32, 64):
            return False
        if self._compression == _RAW:
            return int(page.predictor) == _NO_PREDICTOR
        return self._compression in _DEFLATE and (
            int(page.predictor) == _NO_PREDICTOR or (int(page.predictor) == _HORIZONTAL and page.dtype.kind in "ui")
        )

    def _row_of(self, y: int) -> int:
        strip, inside = divmod(y, self._segment_hw[0])
        return strip * self._pieces + inside // self._piece_rows

    def _rows_of(self, row: int) -> tuple[int, int]:
        """First row of pixels of a row of segments, and how many there are."""
        strip, piece = divmod(row, self._pieces)
        inside = piece * self._piece_rows
        y = strip * self._segment_hw[0] + inside
        return y, max(0, min(self._piece_rows, self._segment_hw[0] - inside, self.hw[0] - y))

    def _plane(self, key: tuple[int, int], plane: int) -> NDArray[Any]:
        strip, piece = divmod(key[0], self._pieces)
        index = (plane * self._strips + strip) * self._columns + key[1]
        if index >= min(len(self._offsets), len(self._counts)):
            raise DamagedPartError("the file does not say where it is")
        offset, count = int(self._offsets[index]), int(self._counts[index])
        box = self.rectangle(key)
        shape = (box.height, box.width, self._pixel_bits // int(self._page.bitspersample))
        if offset == 0 and count == 0:  # left out, as GDAL writes sparse files
            return np.full(shape, self._page.nodata, dtype=self._page.dtype)
        if self._is_cut:
            return self._cut(index, piece, offset, count, shape)
        self._require_within(offset, count)
        raw_bytes = -(-self._segment_hw[1] * self._pixel_bits // 8) * self._segment_hw[0]
        if count > 2 * raw_bytes + _READ_BYTES:
            raise DamagedPartError(f"{count} bytes for {raw_bytes} of pixels")
        self._file.seek(offset)
        data = self._file.read(count)
        _require_stated_size(data, self._compression, self._segment_hw)
        tables = self._page.jpegtables if self._compression == _JPEG else None
        decoded, _, _ = self._page.decode(data, index, jpegtables=tables)
        if decoded.ndim != 4 or decoded.shape[1] < shape[0] or decoded.shape[2] < shape[1]:
            raise DamagedPartError("it is cut short")
        found: NDArray[Any] = decoded[0, : shape[0], : shape[1]]
        if found.shape != shape:
            raise DamagedPartError(f"it holds {found.shape[2]} samples instead of {shape[2]}")
        return found

    def _require_within(self, offset: int, count: int) -> None:
        if offset <= 0 or count <= 0 or offset + count > self._file_bytes:
            raise DamagedPartError("the file ends before it")

    def _cut(self, index: int, piece: int, offset: int, count: int, shape: tuple[int, int, int]) -> NDArray[Any]:
        """A piece of a large strip."""
        dtype = self._page.dtype.newbyteorder(self._page.parent.byteorder)
        row_bytes = shape[1] * shape[2] * dtype.itemsize
        begin, length = piece * self._piece_rows * row_bytes, shape[0] * row_bytes
        if self._compression == _RAW:
            self._require_within(offset + begin, length)
            if begin + length > count:
                raise DamagedPartError("it is cut short")
            self._file.seek(offset + begin)
            data = self._file.read(length)
        else:
            self._require_within(offset, 1)
            stream = self._inflating.get(index)
            if stream is None or stream.at > begin:
                self._inflating = {
                    other: kept
                    for other, kept in self._inflating.items()
                    if other % self._strips == index % self._strips
                }  # of the strip at hand one for each plane
                stream = self._inflating[index] = _Inflating(self._file, offset, count)
            data = stream.read(begin, length)
        if len(data) < length:
            raise DamagedPartError("it is cut short")
        values = np.frombuffer(data, dtype=dtype).astype(dtype.newbyteorder("="), copy=False).reshape(shape)
        if int(self._page.predictor) == _HORIZONTAL:
            values = np.cumsum(values, axis=1, dtype=values.dtype)
        return values


class _Inflating:
    """A deflated strip that is read from its beginning on."""

    def __init__(self, file: Any, offset: int, count: int) -> None:
        self.at = 0
        self._file, self._next, self._end = file, offset, offset + count
        self._stream = zlib.decompressobj()
        self._waiting = b""

    def read(self, begin: int, length: int) -> bytes:
        """Bytes of the strip; fewer where it ends."""
        while self.at < begin and (skipped := self._more(min(begin - self.at, _PIECE_BYTES))):
            self.at += len(skipped)
        found = bytearray()
        while self.at == begin and len(found) < length and (more := self._more(length - len(found))):
            found += more
        self.at += len(found)
        return bytes(found)

    def _more(self, most: int) -> bytes:
        while not self._stream.eof:
            if not self._waiting:
                self._file.seek(self._next)
                self._waiting = self._file.read(min(_READ_BYTES, self._end - self._next))
                self._next += len(self._waiting)
                if not self._waiting:
                    return b""
            found = self._stream.decompress(self._waiting, most)
            self._waiting = self._stream.unconsumed_tail
            if found:
                return found
        return b""


def _require_stated_size(data: bytes, compression: int, segment_hw: tuple[int, int]) -> None:
    """Refuse an image inside a strip or tile that is larger than that: its decoder would make room for it.

    Raises:
        DamagedPartError: It is.
    """
    stated = None
    if compression == _JPEG:
        stated = _stated_by_jpeg(data)
    elif compression in _JPEG_2000:
        at = data.find(b"\xff\x4f\xff\x51", 0, 4096)
        corners = [int.from_bytes(data[at + shift : at + shift + 4], "big") for shift in (8, 12, 16, 20)]
        stated = (corners[1] - corners[3], corners[0] - corners[2]) if at >= 0 else None
    elif compression == _WEBP:
        from objectness.images.headers import webp_canvas

        canvas = webp_canvas(data[:32])
        stated = canvas[::-1] if canvas else None
    else:
        return
    if stated is None:
        raise DamagedPartError("it does not say how large it is")
    if stated[0] > segment_hw[0] + 64 or stated[1] > segment_hw[1] + 64:
        raise DamagedPartError(f"it says that it is {stated[1]} x {stated[0]} pixels")


def _stated_by_jpeg(data: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        kind = data[at + 1]
        if kind in _FRAME_MARKERS:
            return int.from_bytes(data[at + 5 : at + 7], "big"), int.from_bytes(data[at + 7 : at + 9], "big")
        at += 1 if kind == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None
