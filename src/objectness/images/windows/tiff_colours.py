"""The samples of a TIFF as RGB of 8 bits, by the rules of ``open_upright``.

h x w pixels of a strip or tile, s samples a pixel as stored.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from objectness.images.damage import ImageError
from objectness.images.pixel_formats import bit_range, grey_as_8_bit, grey_limits, on_white

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_JPEG = 7
_UNSPECIFIED, _PREMULTIPLIED, _ALPHA = 0, 1, 2
_DARK = 64 * 256  # colour of 16 bits below this holds 14 bits or fewer

Kind = Literal["grey", "deep grey", "colour", "deep colour", "wide colour", "palette", "cmyk", "ycbcr"]


@dataclass(frozen=True, eq=False)
class Colours:
    """How samples become RGB.

    Attributes:
        kind: "deep" is more than 8 bits, "wide" colour is of other types than whole numbers of 16 bits.
        bands: Samples at the front that hold colour.
        bits: Of a sample.
        is_premultiplied: Whether the colours are multiplied already by the alpha behind them; None without alpha.
        inverted: Whether 0 is white.
        palette: ``uint8 (n, 3)`` for the kind "palette".
        remarks: Sentences for the user.
    """

    kind: Kind
    bands: int
    bits: int
    is_premultiplied: bool | None = None
    inverted: bool = False
    palette: NDArray[np.uint8] | None = None
    remarks: tuple[str, ...] = ()

    @property
    def needs_limits(self) -> bool:
        """Whether the range of the whole image must be known before its first pixel."""
        return self.kind in ("deep grey", "wide colour", "deep colour")

    def limits(self, pieces: Iterable[NDArray[Any]]) -> tuple[float, float]:
        """The values that become black and white, from all pieces of the image ``(h, w, s)``.

        As soon as whole numbers show that all 16 bits are used, the other pieces are not looked at.
        """
        low, high, is_float = np.inf, -np.inf, self.kind == "wide colour"
        for piece in pieces:
            values = _numbers(piece[:, :, : self.bands])
            is_float = values.dtype.kind == "f"
            finite = values[np.isfinite(values)] if is_float else values
            if not finite.size:
                continue
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
            if piece.dtype == np.uint16 and high >= _DARK:
                break
        if self.kind == "deep colour":
            return 0.0, bit_range(max(high, 0.0)) if high < _DARK else 65535.0
        return grey_limits(low, high, is_float=is_float)

    def rgb(self, samples: NDArray[Any], limits: tuple[float, float]) -> NDArray[np.uint8]:
        """Pixels ``uint8 (h, w, 3)`` of samples ``(h, w, s)``."""
        match self.kind:
            case "colour" | "deep colour":
                return self._laid_on_white(self._colour(samples, limits), samples)
            case "grey":
                values = samples[:, :, :1]
                grey = values * np.uint8(255 // (2**self.bits - 1)) if self.bits < 8 else values
                grey = ~grey if self.inverted else grey
                return self._laid_on_white(np.repeat(grey.astype(np.uint8, copy=False), 3, axis=2), samples)
            case "deep grey":
                grey = grey_as_8_bit(_numbers(samples[:, :, 0]), limits)
                return np.repeat(grey[:, :, None], 3, axis=2)
            case "wide colour":
                return grey_as_8_bit(_numbers(samples[:, :, :3]), limits)
            case "palette":
                assert self.palette is not None
                index = np.minimum(samples[:, :, 0], len(self.palette) - 1)
                return self._laid_on_white(self.palette[index], samples)
            case "cmyk" | "ycbcr":
                mode = "CMYK" if self.kind == "cmyk" else "YCbCr"
                colour = np.ascontiguousarray(_upper_byte(samples[:, :, : self.bands]))
                size = colour.shape[1], colour.shape[0]
                return np.asarray(Image.frombuffer(mode, size, colour, "raw", mode, 0, 1).convert("RGB"))

    def _colour(self, samples: NDArray[Any], limits: tuple[float, float]) -> NDArray[np.uint8]:
        colour = samples[:, :, :3]
        if self.kind == "colour":
            return colour.astype(np.uint8, copy=False)
        if limits[1] > _DARK or self.is_premultiplied:  # of the latter Pillow keeps the upper bits in any case
            return _upper_byte(colour)
        scaled: NDArray[np.uint8] = (colour * np.float32(255 / limits[1]) + np.float32(0.5)).astype(np.uint8)
        return scaled

    def _laid_on_white(self, colour: NDArray[np.uint8], samples: NDArray[Any]) -> NDArray[np.uint8]:
        """Colours ``(h, w, 3)`` over white, by the alpha in their samples ``(h, w, s)``, if there is one."""
        if self.is_premultiplied is None:
            return colour
        alpha = _upper_byte(samples[:, :, self.bands : self.bands + 1])
        rgba = np.concatenate((colour, alpha), axis=2)
        raw_mode = "RGBa" if self.is_premultiplied else "RGBA"
        size = rgba.shape[1], rgba.shape[0]
        return np.asarray(on_white(Image.frombytes("RGBA", size, rgba.tobytes(), "raw", raw_mode)))


def colours_of(page: Any, name: str) -> Colours:
    """The colours of a page of ``tifffile``.

    Raises:
        ImageError: Colours for which there is no rule.
    """
    samples, bits, photometric = int(page.samplesperpixel), page.bitspersample, int(page.photometric)
    if not isinstance(bits, int) or page.dtype is None or page.dtype.kind not in "buif":
        raise _unusual(name, f"its samples have {bits} bits")
    extras = page.tags.valueof(338, default=())
    extras = (extras,) if isinstance(extras, int) else tuple(extras)
    is_byte = (bits <= 8 and page.dtype.kind in "bu") or (bits == 8 and page.dtype.kind == "i")
    is_short = page.dtype == np.uint16 and bits == 16

    match photometric:
        case 0 | 1 if samples < 3:
            kind: Kind = "grey" if is_byte else "deep grey"
            if is_byte and bits not in (1, 2, 4, 8):
                raise _unusual(name, f"its grey has {bits} bits")
            alpha = _alpha(extras) if is_byte and samples == 2 else None
            # Of more than 8 bits Pillow turns none around.
            return Colours(kind, 1, bits, alpha, inverted=photometric == _WHITE_IS_ZERO and is_byte)
        case 0 | 1 | 2 if samples >= 3:
            if is_byte and bits != 8:
                raise _unusual(name, f"its colours have {bits} bits")
            kind = "colour" if is_byte else "deep colour" if is_short else "wide colour"
            remarks: tuple[str, ...] = ()
            if photometric != _RGB:
                remarks = (f"{name} has {samples} bands; the first three are read as red, green and blue.",)
            without_tag = photometric == _RGB and samples == 4 and not extras
            has_room = samples > 3 and kind != "wide colour"
            alpha = False if without_tag and has_room else _alpha(extras) if has_room else None
            return Colours(kind, 3, bits, alpha, remarks=remarks)
        case 3 if is_byte:
            table = np.asarray(page.colormap)
            if table.ndim != 2 or table.shape[0] != 3 or not table.size:
                raise _unusual(name, "its palette is damaged")
            palette = np.ascontiguousarray(_upper_byte(table.astype(np.uint16)).T)
            return Colours("palette", 1, bits, _alpha(extras) if samples == 2 else None, palette=palette)
        case 5 if samples >= 4 and (bits == 8 or is_short):
            return Colours("cmyk", 4, bits)
        case 6 if bits == 8 and samples == 1:
            return Colours("grey", 1, bits)
        case 6 if bits == 8 and samples == 3 and page.compression == _JPEG:
            return Colours("colour", 3, bits)  # its decoder gives RGB
        case 6 if bits == 8 and samples == 3 and not page.is_subsampled:
            return Colours("ycbcr", 3, bits)
    raise _unusual(name, f"{samples} samples of {bits} bits with the photometric interpretation {photometric}")


def _alpha(extras: tuple[int, ...]) -> bool | None:
    """Whether the first sample behind the colours is multiplied in; None where it is no alpha."""
    if not extras or extras[0] == _UNSPECIFIED:
        return None
    return extras[0] == _PREMULTIPLIED


def _unusual(name: str, what: str) -> ImageError:
    return ImageError(name, f"is a TIFF whose colours cannot be read in parts ({what})", "save it as an RGB TIFF")


def _numbers(values: NDArray[Any]) -> NDArray[Any]:
    """Values in the types that Pillow has for them."""
    match values.dtype.kind, values.dtype.itemsize:
        case "u", 4:
            return values.view(np.int32) if values.flags.c_contiguous else values.astype(np.int32)
        case "f" | "u" | "i", 8:
            return values.astype(np.float32)
        case "f", 2:
            return values.astype(np.float32)
        case _:
            return values


def _upper_byte(values: NDArray[Any]) -> NDArray[np.uint8]:
    """The upper 8 of 16 bits; 8 bits as they are."""
    return (values >> 8).astype(np.uint8) if values.dtype == np.uint16 else values.astype(np.uint8, copy=False)
