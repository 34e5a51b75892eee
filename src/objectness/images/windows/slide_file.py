"""Slides of microscopes, opened with openslide: which files are slides, and none that names files elsewhere."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from objectness.errors import InputError, NotInstalledError
from objectness.files.untrusted import read_bytes, regular_file
from objectness.images.damage import ImageError
from objectness.installation import how_to_install

SLIDE = "SLIDE"
"""The format of a slide that openslide reads, beside Pillow's names of formats."""

SLIDE_SUFFIXES = frozenset({".bif", ".czi", ".dcm", ".mrxs", ".ndpi", ".scn", ".svs", ".svslide"})
"""Of files that are asked whether they are slides."""

_PLAIN_WITHOUT = frozenset({".svs", ".ndpi"})  # their first page is the slide: a TIFF for every other reader
_FILE_OF_MIRAX = re.compile(rb"^(?:FILE_\d+|INDEXFILE)\s*=\s*(.*?)\s*$", re.MULTILINE)


def slide_size_hw(path: str) -> tuple[int, int] | None:
    """(height, width) of the full level of a slide; None for other files, and for TIFFs that others can read.

    Raises:
        InputError: openslide is not installed, and no other reader would find the slide in its file; it is damaged.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SLIDE_SUFFIXES:
        return None
    if find_spec("openslide") is None:
        if suffix in _PLAIN_WITHOUT or not Path(path).is_file():
            return None
        raise NotInstalledError(f"{path} is a slide ({suffix}), which needs openslide: {how_to_install('wsi')}.")
    import openslide

    if not Path(path).is_file() or openslide.OpenSlide.detect_format(path) in (None, "generic-tiff"):
        return None
    with open_slide(path) as slide:
        width, height = slide.dimensions
    return height, width


def open_slide(path: str) -> Any:
    """An open slide.

    Raises:
        InputError: There is none, it is damaged, or it names files that do not lie beside it.
    """
    import openslide

    regular_file(path)
    _require_own_files(Path(path))
    try:
        return openslide.OpenSlide(path)
    except (openslide.OpenSlideError, OSError) as error:
        reason = f"the slide is damaged or incomplete ({error_text(error)})"
        raise ImageError(path, reason, "copy it again, with the files that belong to it") from None


def error_text(error: BaseException) -> str:
    """The text of an error on one line."""
    return " ".join(str(error).split()).rstrip(".")[:200] or type(error).__name__


def _require_own_files(path: Path) -> None:
    """The folder of a MIRAX slide names its files; a stranger's might name any file of the system."""
    if path.suffix.lower() != ".mrxs":
        return
    try:
        listed = read_bytes(path.with_suffix("") / "Slidedat.ini")
    except InputError:
        return  # openslide says what is missing
    for name in _FILE_OF_MIRAX.findall(listed):
        if b"/" in name or b"\\" in name:
            reason = f"its Slidedat.ini names the file {name[:100].decode('utf-8', 'replace')!r} of another folder"
            raise ImageError(str(path), reason, "copy the slide again")
