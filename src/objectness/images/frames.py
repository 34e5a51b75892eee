"""Number of frames or pages of a file: only the first is read as the photograph, the others are reported."""

from __future__ import annotations

from typing import IO, Literal

from PIL import Image

from objectness.images.damage import DAMAGED

_NEW_SUBFILE_TYPE = 254

MOST_FRAMES = 1000
"""Counting ends here: a file of a few megabytes may hold a million empty frames."""


def count_frames(image: Image.Image) -> int:
    """Frames of an animation or pages of a TIFF, of an opened image that stays as it is; ``MOST_FRAMES`` at most.

    The second picture in a telephone's JPEG (a preview, a depth or gain map) is no frame.
    """
    try:
        match image.format:
            case "GIF":
                return _count_in_gif(image.fp)  # type: ignore[attr-defined]
            case "TIFF":
                return count_pages(image.fp)  # type: ignore[attr-defined]
            case "PNG" | "WEBP" | "AVIF" | "HEIF" | "HEIC":
                return max(1, min(MOST_FRAMES, int(getattr(image, "n_frames", 1))))
    except DAMAGED:
        pass  # the first frame decides whether the file is damaged
    return 1


def count_pages(file: IO[bytes]) -> int:
    """Pages of a TIFF, without the smaller copies that a pyramid keeps of its first; the file stays where it was."""
    place = file.tell()
    try:
        file.seek(0)
        head = file.read(16)
        order: Literal["little", "big"] = "little" if head[:2] == b"II" else "big"
        is_big = int.from_bytes(head[2:4], order) == 43
        count_bytes, entry_bytes, pointer_bytes = (8, 20, 8) if is_big else (2, 12, 4)
        at = int.from_bytes(head[8:16] if is_big else head[4:8], order)
        pages, seen = 0, set[int]()
        while at and at not in seen and len(seen) < MOST_FRAMES:
            seen.add(at)
            file.seek(at)
            entries = int.from_bytes(file.read(count_bytes), order)
            first = file.read(entry_bytes)
            kind = int.from_bytes(first[-pointer_bytes:][:4], order)  # a long, left-aligned
            is_smaller_copy = int.from_bytes(first[:2], order) == _NEW_SUBFILE_TYPE and kind & 1
            pages += not is_smaller_copy or not pages
            file.seek(at + count_bytes + entries * entry_bytes)
            at = int.from_bytes(file.read(pointer_bytes), order)
        return max(1, pages)
    finally:
        file.seek(place)


def _count_in_gif(file: IO[bytes]) -> int:
    """Count image blocks without decoding them, as ``n_frames`` would."""
    place = file.tell()
    try:
        file.seek(10)
        flags = file.read(3)[0]
        file.seek(13 + _colours(flags))
        count = 0
        while count < MOST_FRAMES:
            kind = file.read(1)
            if kind == b",":
                count += 1
                flags = file.read(9)[8]
                file.seek(_colours(flags) + 1, 1)  # its own colours, and the size of codes
            elif kind == b"!":
                file.seek(1, 1)
            else:
                break
            while length := file.read(1):
                if length == b"\0":
                    break
                file.seek(length[0], 1)
        return max(1, count)
    finally:
        file.seek(place)


def _colours(flags: int) -> int:
    """Bytes of a table of colours."""
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0
