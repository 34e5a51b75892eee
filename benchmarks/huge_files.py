"""Huge files of each format, made of a mosaic without ever holding it, and processes whose peak memory is watched."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from mosaic import Mosaic, paint

from objectness.images.windows.protocol import Rectangle

FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    "tiled TIFF": ("tiled.tif", {"tile": True, "tile_width": 512, "tile_height": 512, "compression": "jpeg", "Q": 90}),
    "strip TIFF": ("strips.tif", {"compression": "deflate"}),
    "baseline JPEG": ("baseline.jpg", {"Q": 90}),
    "PNG": ("rows.png", {"compression": 1}),
}
"""Name -> ending of the file, and how libvips saves it."""

_BAND = 256  # rows that are painted at once

# A process of its own between this one and the one that is watched: a child's peak begins with its parent's.
_WATCHED = """
import json, resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([code, used.ru_maxrss, used.ru_utime + used.ru_stime]))
"""


@dataclass(frozen=True)
class Watched:
    """A process that has ended.

    Attributes:
        code: Its exit code.
        peak: Bytes of resident memory at its worst, of the largest process among it and its children.
        seconds: Wall time, its start included.
        processor: Seconds of all processors, which a busy machine hardly changes.
        errors: What it wrote to standard error.
    """

    code: int
    peak: int
    seconds: float
    processor: float
    errors: str


def watch(command: Sequence[str], env: dict[str, str] | None = None) -> Watched:
    """Run a command to its end, and see how much memory it takes."""
    start = perf_counter()
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _WATCHED, *command], capture_output=True, text=True, env=env, check=True
    )
    seconds = perf_counter() - start
    code, kibibytes, processor = json.loads(done.stdout)
    return Watched(int(code), int(kibibytes) * 1024, seconds, float(processor), done.stderr)


def raw_file(path: Path, mosaic: Mosaic, across: int = 1, down: int = 1) -> Path:
    """The pixels of a mosaic, repeated across and down, row by row and without a header. An existing file is kept."""
    height, width = mosaic.size_hw
    if path.exists() and path.stat().st_size == 3 * height * width * across * down:
        return path
    with path.open("wb") as file:
        for _ in range(down):
            for y in range(0, height, _BAND):
                band = paint(mosaic, Rectangle(y, 0, min(_BAND, height - y), width))
                file.write(np.tile(band, (1, across, 1)).tobytes())
    return path


def save_as(raw: Path, size_hw: tuple[int, int], name: str) -> Path:
    """A file of one of ``FORMATS`` beside a raw one. An existing file is kept.

    Args:
        raw: From :func:`raw_file`.
        size_hw: (height, width) of all of it.
        name: Of the format.
    """
    import pyvips

    ending, options = FORMATS[name]
    path = raw.with_name(f"{raw.stem}-{ending}")
    if not path.exists():
        image = pyvips.Image.rawload(str(raw), size_hw[1], size_hw[0], 3).copy(interpretation="srgb")
        unfinished = path.with_name(f"unfinished-{path.name}")
        image.write_to_file(str(unfinished), **options)
        unfinished.rename(path)
    return path
