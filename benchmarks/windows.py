"""Memory and time of reading all windows of image files, without any network.

    python benchmarks/windows.py FILE... [--tile 1024] [--overlap 128] [--size HEIGHT WIDTH]

Each file is read in a process of its own, from top to bottom, in windows of the tile and its overlap on each side.
With --size the windows are those of the image resized to that.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from time import perf_counter


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--tile", type=int, default=1024)
    parser.add_argument("--overlap", type=int, default=128)
    parser.add_argument("--size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.here:
        print(read(words.files[0], words.tile, words.overlap, tuple(words.size) if words.size else None))
        return
    print("| file | width x height | reader | windows | seconds | peak of the process |\n|---|---|---|---|---|---|")
    for file in words.files:
        options = ["--tile", str(words.tile), "--overlap", str(words.overlap), "--here"]
        size = ["--size", *map(str, words.size)] if words.size else []
        call = [sys.executable, __file__, str(file), *options, *size]
        print(subprocess.run(call, check=True, capture_output=True, text=True).stdout.strip(), flush=True)


def read(file: Path, tile: int, overlap: int, size_hw: tuple[int, int] | None = None) -> str:
    """Read all windows of a file: a row of the table."""
    from objectness.images.windows.open_windows import open_windows
    from objectness.images.windows.protocol import Rectangle
    from objectness.images.windows.scaled import ScaledReader

    began = perf_counter()
    reader = open_windows(file, max_pixels=None)
    name = type(reader).__name__
    reader = ScaledReader(reader, size_hw) if size_hw else reader
    height, width = reader.size_hw
    count = 0
    for y in range(0, height, tile):
        for x in range(0, width, tile):
            top, left = max(0, y - overlap), max(0, x - overlap)
            bottom, right = min(height, y + tile + overlap), min(width, x + tile + overlap)
            reader.window(Rectangle(top, left, bottom - top, right - left))
            count += 1
    reader.close()
    seconds = perf_counter() - began
    return f"| {file.name} | {width} x {height} | {name} | {count} | {seconds:.1f} | {_peak_megabytes():.0f} MB |"


def _peak_megabytes() -> float:
    """Most memory that this process had at once."""
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


if __name__ == "__main__":
    main()
